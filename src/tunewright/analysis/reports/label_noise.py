"""Which training labels are probably wrong, and how many, by what a probe that did not see a row says of it.

Source: confident learning: Northcutt, Jiang and Chuang 2021, Confident Learning: Estimating Uncertainty in Dataset Labels,
section 3.1 (the confident joint, calibrated) and 3.2 (rows ranked by self-confidence or normalized margin). As many rows are
listed as are estimated to be wrong: with a tenth of Banking77's labels flipped these hold 98 % of the flipped ones, the rows off
the joint's diagonal 63 % (benchmarks/data_quality.py).
When: labels came from people, rules or other models. When not: the network's features say little of the classes, so that
the probe's own errors look like the labels'; the report then says that it cannot tell. Not for tables, whose classes overlap:
trees that did not see a row would accuse a tenth to a half of sound labels (benchmarks/data_quality.py).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tunewright.analysis.bootstrap import bootstrapped
from tunewright.analysis.context import AnalysisContext
from tunewright.analysis.evidence import Grid, Report
from tunewright.core.csv_text import csv_text
from tunewright.core.files import write_text
from tunewright.core.rounding import spread_or_one
from tunewright.core.types import Finding, Score
from tunewright.datasets.inputs import shown_input
from tunewright.datasets.quality.fix import NOISE

TASKS = ("classification",)
KINDS = ("text", "image", "audio", "video")
DEFAULT = True

_FEWEST_ROWS = 50  # in all (a guess)
# Share of what the majority gets wrong that the probe must get right: where it got 0.36, 38 % were estimated of 9 % (measured).
_WEAK = 0.4
_TOLD = 0.1  # share of wrong labels from which it is a warning: clean sets were estimated at up to 0.07 (measured)
_CUT = 120  # characters shown of a text


class Settings(BaseModel):
    """What the probe reads, and how rows are ranked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(5000, ge=50, description="Training rows that are judged at most, drawn at random (a guess).")
    folds: int = Field(
        5, ge=2, le=20, description="Parts of which each is judged by a probe of the others (the authors: 5 to 10)."
    )
    features: Literal["before", "tuned"] = Field(
        "before", description="Of the network before tuning, which has not learned the wrong labels, or of the tuned one."
    )
    variance: float = Field(
        0.01, gt=0, description="Allowed to each weight of the probe, of features of spread 1 (between the best of two sets)."
    )
    rank: Literal["self_confidence", "margin"] = Field(
        "self_confidence", description="Rows are ranked by the probability of their label, or by that less the highest other."
    )
    pick: Literal["count", "confident"] = Field(
        "count", description="Rows listed: as many as are estimated to be wrong, or those confidently of another class."
    )
    shown: int = Field(20, ge=1, le=1000, description="Rows in the table; all are in label_noise.csv.")


def report(subject: AnalysisContext, settings: Settings) -> Report:
    """The estimated share of wrong labels with its interval, and the rows, likeliest first, with a suggested label."""
    if "train" not in subject.rows:
        return Report(said=("The training rows are streamed: their labels are not judged.",))
    train = subject.rows["train"]
    chosen = subject.sample("train", settings.rows)
    chosen = chosen[train.numbers[chosen] >= 0]  # those replayed are another file's
    targets = train.targets[chosen]
    enough = np.bincount(targets, minlength=len(subject.labels.names))[targets] >= settings.folds
    chosen, targets = chosen[enough], targets[enough]
    if len(chosen) < _FEWEST_ROWS or len(np.unique(targets)) < 2:
        return Report(
            said=(f"{len(chosen)} training rows in classes of {settings.folds} or more are too few to judge labels by.",)
        )
    inputs = train.inputs if len(chosen) == len(train) else [train.inputs[row] for row in chosen]
    found, known = np.unique(targets, return_inverse=True)
    shares = out_of_fold(subject.features(inputs, settings.features == "before"), known, settings, subject.seed)
    accuracy, most = float((shares.argmax(1) == known).mean()), float(np.bincount(known).max() / len(known))
    if accuracy - most < _WEAK * (1 - most):
        share = Score("label_noise", None, None, None, len(known), "share", "train", "the probe is too weak to tell")
        said = f"A probe gets {accuracy:.0%} of the training rows right, where the largest class is {most:.0%}"
        return Report(said=(f"{said}: too weak to judge labels by, or too many are wrong.",), scores=(share,))
    guesses = confident_class(shares, known)
    share = bootstrapped(
        "label_noise", len(known), noise_share(known, guesses), subject, unit="share", split="train", note="estimated"
    )
    others = shares.copy()
    others[np.arange(len(known)), known] = -1.0
    order = ranked(shares, known, settings.rank)
    if settings.pick == "confident":
        order = order[((guesses >= 0) & (guesses != known))[order]]
    else:
        order = order[: round((share.value or 0.0) * len(known))]
    sure = shares[np.arange(len(known)), known]
    lines = [
        (
            int(train.numbers[chosen[row]]),
            subject.labels.names[targets[row]],
            subject.labels.names[found[others[row].argmax()]],
            float(sure[row]),
            shown_input(train.inputs[chosen[row]], train.kind),
        )
        for row in order
    ]
    _keep(subject, lines)
    return Report(
        said=_said(share, accuracy, lines, len(chosen), len(train)),
        scores=(share,),
        findings=_findings(subject, share, lines),
        grids=(
            Grid(
                "Training rows whose label is probably wrong, likeliest first; with the probability of their label",
                ("row", "text", "label", "suggested", "probability"),
                [(line[0], line[4][:_CUT], *line[1:4]) for line in lines[: settings.shown]],
            ),
        )
        if lines
        else (),
    )


def out_of_fold(features: np.ndarray, targets: np.ndarray, settings: Settings, seed: int) -> np.ndarray:
    """Of each row the probabilities, (n, classes), of a probe of the rows in other folds; every class is in every fold."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    scaled = (features - features.mean(0)) / spread_or_one(features)
    order = np.random.default_rng(seed).permutation(len(targets))
    order = order[np.argsort(targets[order], kind="stable")]
    fold = np.empty(len(targets), dtype=np.int64)
    fold[order] = np.arange(len(targets)) % settings.folds
    shares = np.zeros((len(targets), targets.max() + 1))
    for held in range(settings.folds):
        inside = fold != held
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # more steps did not tell rows apart better
            probe = LogisticRegression(C=settings.variance, max_iter=100, tol=1e-3).fit(scaled[inside], targets[inside])
        shares[np.ix_(~inside, probe.classes_)] = probe.predict_proba(scaled[~inside])
    return shares


def confident_class(shares: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Of each row the likeliest class among those as likely as they are on average for their own rows; -1 where none is."""
    many = np.bincount(targets, minlength=shares.shape[1])
    thresholds = np.bincount(targets, shares[np.arange(len(targets)), targets], shares.shape[1]) / np.maximum(many, 1)
    thresholds[many == 0] = np.inf
    likely = np.where(shares >= thresholds - 1e-9, shares, -1.0)
    return np.where(likely.max(1) >= 0, likely.argmax(1), -1)


def confident_joint(targets: np.ndarray, guesses: np.ndarray, classes: int) -> np.ndarray:
    """How many rows of each label (row) are confidently of each class (column)."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    told = guesses >= 0
    np.add.at(counts, (targets[told], guesses[told]), 1)
    return counts


def noise_share(targets: np.ndarray, guesses: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The share off the diagonal of the joint, each label's row scaled to its rows, as a function of how often rows count.

    The thresholds stay those of all rows.
    """
    label = np.eye(targets.max() + 1)[targets]
    told, wrong = label * (guesses >= 0)[:, None], label * ((guesses >= 0) & (guesses != targets))[:, None]

    def statistic(counts: np.ndarray) -> np.ndarray:
        many, kept, off = (counts @ one for one in (label, told, wrong))
        found: np.ndarray = (many * off / np.maximum(kept, 1)).sum(1) / many.sum(1)
        return found

    return statistic


def ranked(shares: np.ndarray, targets: np.ndarray, rank: str) -> np.ndarray:
    """Rows of which another class is likelier than their label, the likeliest to be wrong first."""
    sure = shares[np.arange(len(targets)), targets]
    others = shares.copy()
    others[np.arange(len(targets)), targets] = -1.0
    likelier = np.flatnonzero(others.max(1) > sure)
    by = sure if rank == "self_confidence" else sure - others.max(1)
    return np.asarray(likelier[np.argsort(by[likelier], kind="stable")])


_Line = tuple[int, str, str, float, str]


def _keep(subject: AnalysisContext, lines: list[_Line]) -> None:
    named = ("row", "label", "suggested", "self_confidence", "text")
    rows = [(*line[:3], f"{line[3]:.6f}", line[4]) for line in lines]
    write_text(subject.folder / NOISE, csv_text([named, *rows]))


def _said(share: Score, accuracy: float, lines: list[_Line], judged: int, rows: int) -> tuple[str, ...]:
    of = f"{judged:,} of {rows:,} training rows" if judged < rows else f"{rows:,} training rows"
    bounds = "" if share.low is None else f" ({share.low:.1%} to {share.high:.1%})"
    return (
        f"Of {of} an estimated {share.value:.1%} have a wrong label{bounds}; rows that are merely hard are among them.",
        f"The probe, which never saw the row it judges, gets {accuracy:.0%} right; {len(lines):,} rows are listed in {NOISE}.",
    )


def _findings(subject: AnalysisContext, share: Score, lines: list[_Line]) -> tuple[Finding, ...]:
    if share.low is None or share.low < _TOLD:
        return ()
    message = (
        f"about {share.value:.0%} of the training labels are probably wrong ({share.low:.0%} to {share.high:.0%}); read the "
        f"{len(lines):,} rows in {NOISE}, then: tunewright check DATA --fix OUT --drop-noise {subject.folder}"
    )
    return (Finding("label_noise", message, "warning", tuple(line[0] for line in lines), len(lines)),)
