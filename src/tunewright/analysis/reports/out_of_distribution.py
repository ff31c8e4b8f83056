"""Whether rows that the model was not made for are told from those it was, and how many test rows look like none of train.

With ``others``, a file of rows out of scope, three scores are compared by how well they tell them from the test rows. Without it,
only the share of test rows beyond the distance that 99 % of the validation rows keep is told.

Source: energy: Liu, Wang, Owens and Li 2020, section 3; maximum probability: Hendrycks and Gimpel 2017; Mahalanobis distance of
the features: Lee, Lee, Lee and Shin 2018, section 2.1.
When: the model meets rows that belong to none of its classes. When not: every row that can come is in scope.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import ceil

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tunewright.analysis.bootstrap import bootstrapped
from tunewright.analysis.context import AnalysisContext, Inputs
from tunewright.analysis.distances import mahalanobis
from tunewright.analysis.evidence import Grid, Report
from tunewright.analysis.ranking import false_positives_at, ranking_area
from tunewright.core.types import Finding, Score
from tunewright.datasets.inputs import inputs_of, shown_input
from tunewright.datasets.read import read_table
from tunewright.evaluation.intervals import exact_interval

TASKS = ("classification", "regression", "ordinal", "multi_label")
KINDS = None
DEFAULT = False

_KEPT = 0.99  # share of validation rows within the distance
_UNLIKELY = 0.01  # probability from which far rows are said to be too many (a guess)
_SHOWN = 10
_NAMES = {"energy": "energy", "max_probability": "maximum probability", "mahalanobis": "Mahalanobis distance"}


class Settings(BaseModel):
    """Where the rows out of scope are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    others: str | None = Field(None, description="A file of rows that belong to no class, with the input columns of train.")
    max_train_samples: int = Field(5000, ge=10, description="Most training rows that the distance is measured from.")
    rows: int = Field(2000, ge=10, description="Most rows of each other part.")


def report(subject: AnalysisContext, settings: Settings) -> Report:
    """Scores of test rows, and of others where they are given."""
    distance = _distance(subject, settings.max_train_samples)
    chosen = {part: subject.sample(part, settings.rows) for part in ("validation", "test")}
    inputs = {part: [subject.rows[part].inputs[index] for index in rows] for part, rows in chosen.items()}
    far = {part: distance(subject.features(rows, False)) for part, rows in inputs.items()}
    beyond, finding, said = _beyond(subject, far["validation"], far["test"], chosen["test"])
    if settings.others is None:
        ask = "tunewright report RUN out_of_distribution --set others=FILE tells how well a file's rows out of scope are known."
        return Report(said=(*said, ask), scores=(beyond,), findings=finding)
    outside = _others(subject, settings)
    values = _values(subject, inputs["test"], outside, far["test"], distance(subject.features(outside, False)))
    inside = np.arange(len(inputs["test"]) + len(outside)) < len(inputs["test"])
    scores = {name: _told_apart(subject, name, one, inside) for name, one in values.items()}
    best = max(scores, key=lambda name: scores[name][0].value or 0.0)
    return Report(
        said=(_said(scores, best, len(inputs["test"]), len(outside), settings.others), *said),
        scores=(*(one for pair in scores.values() for one in pair), beyond),
        findings=(*finding, *_findings(scores, best)),
        grids=(_grid(scores), _examples(values[best][~inside], outside, subject)),
    )


def _distance(subject: AnalysisContext, most: int) -> Callable[[np.ndarray], np.ndarray]:
    """Distance to the training rows' classes; where there are none, to all of them."""
    chosen = subject.sample("train", most)
    features = subject.features([subject.rows["train"].inputs[index] for index in chosen], False)
    targets = subject.rows["train"].targets[chosen]
    classes = targets if subject.task in ("classification", "ordinal") else np.zeros(len(chosen), dtype=np.int64)
    return mahalanobis(features, classes)


def _others(subject: AnalysisContext, settings: Settings) -> Inputs:
    """The rows out of scope, or as many of them as are wanted."""
    assert settings.others is not None
    found = inputs_of(read_table(settings.others, "test"), subject.schema)
    if len(found) <= settings.rows:
        return found
    drawn = np.random.default_rng(subject.seed).choice(len(found), settings.rows, replace=False)
    return [found[index] for index in np.sort(drawn)]


def _values(
    subject: AnalysisContext, inside: Inputs, outside: Inputs, near: np.ndarray, far: np.ndarray
) -> dict[str, np.ndarray]:
    """Each score of the test rows and then of the others, the larger the more in scope."""
    found = {"mahalanobis": -np.concatenate([near, far])}
    if subject.task != "classification":
        return found
    logits = np.concatenate([subject.logits(inside), subject.logits(outside)]).astype(np.float64)
    return {"energy": energy(logits), "max_probability": np.exp(logits.max(1) - energy(logits)), **found}


def energy(logits: np.ndarray) -> np.ndarray:
    """The negative free energy at temperature 1: log of the sum of exp(logits), (n,)."""
    highest = logits.max(1)
    found: np.ndarray = highest + np.log(np.exp(logits - highest[:, None]).sum(1))
    return found


def _told_apart(subject: AnalysisContext, name: str, values: np.ndarray, inside: np.ndarray) -> tuple[Score, Score]:
    """Area and false positives; where none passes, or all do, resampling would claim certainty."""
    area = bootstrapped(f"auroc_{name}", len(values), ranking_area(values, inside), subject, unit="share")
    passed = bootstrapped(f"fpr95_{name}", len(values), false_positives_at(values, inside), subject, unit="share")
    if passed.value in (0.0, 1.0):
        many = int((~inside).sum())
        low, high = exact_interval(round(passed.value * many), many, subject.confidence)
        passed = replace(passed, low=low, high=high, n=many, note="exact binomial interval")
    return area, passed


def _beyond(
    subject: AnalysisContext, held: np.ndarray, test: np.ndarray, numbers: np.ndarray
) -> tuple[Score, tuple[Finding, ...], tuple[str, ...]]:
    """Share of test rows farther from train than nearly all validation rows, and whether these are more than chance has."""
    from scipy.stats import betabinom

    rank = ceil((len(held) + 1) * _KEPT - 1e-9)
    if rank > len(held) or not len(test):
        why = f"{len(held)} validation rows are too few to tell where {_KEPT:.0%} of them end"
        return Score("far_rows", None, None, None, len(test), "share", "test", why), (), (f"{why[0].upper()}{why[1:]}.",)
    limit = np.sort(held)[rank - 1]
    hits = test > limit
    low, high = exact_interval(int(hits.sum()), len(test), subject.confidence)
    score = Score("far_rows", float(hits.mean()), low, high, len(test), "share", "test", "exact binomial interval")
    said = (
        f"{hits.mean():.1%} ({low:.1%} to {high:.1%}) of the test rows lie farther from the training rows than "
        f"{_KEPT:.0%} of the validation rows do.",
    )
    chance = float(betabinom.sf(hits.sum() - 1, len(test), len(held) + 1 - rank, rank))
    if chance >= _UNLIKELY:
        return score, (), said
    rows = subject.rows["test"]
    farthest = numbers[np.argsort(-test)[: int(hits.sum())]]
    message = (
        f"{hits.sum()} of {len(test)} test rows look like none of the training rows ({hits.mean():.1%}; "
        f"{1 - _KEPT:.0%} would be usual, p {chance:.2g}): {rows.where(farthest.tolist())}; "
        "tunewright report RUN shift says what differs"
    )
    return score, (Finding("far_rows", message, "warning", tuple(map(int, rows.numbers[farthest])), int(hits.sum())),), said


def _said(scores: dict[str, tuple[Score, Score]], best: str, inside: int, outside: int, where: str) -> str:
    area, passed = scores[best]
    if area.value is None or passed.value is None:
        return "There are too few rows to compare."
    return (
        f"The {_NAMES[best]} tells {outside} rows of {where} from {inside} test rows with an area of {area.value:.3f} "
        f"({area.low:.3f} to {area.high:.3f}); where 95% of the test rows are kept, {passed.value:.1%} of the others pass."
    )


def _findings(scores: dict[str, tuple[Score, Score]], best: str) -> tuple[Finding, ...]:
    area, passed = scores[best]
    if area.low is None or passed.value is None or passed.value < 0.5:
        return ()
    message = (
        f"rows out of scope are hardly known: where 95% of the test rows are kept, {passed.value:.0%} of the others pass by "
        f"the best of {len(scores)} scores ({_NAMES[best]}); train on some of them as a class of their own"
    )
    return (Finding("outside_unknown", message, "warning"),)


def _grid(scores: dict[str, tuple[Score, Score]]) -> Grid:
    rows = [
        (_NAMES[name], area.value, area.low, area.high, passed.value, passed.low, passed.high)
        for name, (area, passed) in scores.items()
    ]
    columns = ("score", "AUROC", "low", "high", "others that pass at 95%", "low", "high")
    return Grid("Rows in scope against rows out of scope", columns, rows)


def _examples(values: np.ndarray, outside: Inputs, subject: AnalysisContext) -> Grid:
    """The others that look most like test rows."""
    nearest = np.argsort(-values)[:_SHOWN]
    rows = [(shown_input(outside[at], subject.schema.kind)[:200], float(values[at])) for at in nearest]
    return Grid("Rows out of scope that look most like rows in scope", ("row", "score"), rows)
