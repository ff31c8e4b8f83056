"""Sets of classes, or intervals of numbers, that hold the truth as often as was asked for, and how large they have to be.

Fitted on the validation rows, judged on the test rows, and kept in the run's folder for ``tunewright predict --sets``.

Source: Vovk, Gammerman and Shafer 2005, section 2.2; lac: Sadinle, Lei and Wasserman 2019; aps: Romano, Sesia and Candès 2020;
raps: Angelopoulos, Bates, Malik and Jordan 2021 (``analysis/conformal.py``).
When: a person or a rule decides between several likely answers. When not: later rows come from elsewhere than the
validation rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isinf
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tunewright.analysis.bootstrap import bootstrapped
from tunewright.analysis.conformal import Conformal, Method, fitted, save, sets
from tunewright.analysis.context import AnalysisContext
from tunewright.analysis.evidence import Grid, Report
from tunewright.core.errors import UserError
from tunewright.core.types import Finding, Predictions, Score
from tunewright.evaluation.intervals import exact_interval

TASKS = ("classification", "regression")
KINDS = None
DEFAULT = True

_UNLIKELY = 0.01  # probability from which a coverage is said to be missed (a guess)
_SETS: tuple[Method, ...] = ("lac", "aps", "raps")
_WORST = 10  # classes that are shown
_FEWEST = 5  # rows of a class that is shown (a guess)


class Settings(BaseModel):
    """How often sets hold the truth, and how they are made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    coverage: float = Field(0.9, gt=0, lt=1, description="Share of rows whose set holds the truth (0.9 is usual).")
    method: Literal["lac", "aps", "raps"] = Field(
        "lac", description="Sets that are kept for `predict`: 'lac' the smallest, 'aps' and 'raps' larger where a row is harder."
    )
    penalty: float = Field(
        0.01, ge=0, description="Of raps: what each class beyond the first ones adds (0.01: Angelopoulos 2021)."
    )
    free_classes: int = Field(5, ge=0, description="Of raps: classes without a penalty (5: Angelopoulos 2021 for ImageNet).")
    rows: int = Field(10_000, ge=10, description="Most validation rows that are kept.")


def report(subject: AnalysisContext, settings: Settings) -> Report:
    """Coverage and size on the test rows; what is kept for later rows is written into the run's folder."""
    held, wanted = _held(subject, settings.rows)
    if not len(wanted):
        raise UserError("there are no validation rows to fit sets to")
    if subject.task == "regression":
        return _of_numbers(subject, settings, fitted("residual", held, wanted))
    made = {name: fitted(name, held, wanted, settings.penalty, settings.free_classes) for name in _SETS}
    save(subject.folder, made[settings.method])
    if isinf(made["lac"].quantile(settings.coverage)):
        return _too_few(subject, settings, len(wanted))
    targets, shares = subject.rows["test"].targets, subject.answers("test").probabilities
    assert shares is not None
    inside = {name: sets(one, shares, settings.coverage) for name, one in made.items()}
    hits = {name: one[np.arange(len(targets)), targets] for name, one in inside.items()}
    covered = {name: coverage_of(f"coverage_{name}", one, subject.confidence) for name, one in hits.items()}
    sizes = {name: _mean(f"set_size_{name}", one.sum(1).astype(float), subject, "classes") for name, one in inside.items()}
    own = settings.method
    return Report(
        said=_said(covered[own], sizes[own], inside[own], made[own], settings),
        scores=tuple(one for name in _SETS for one in (covered[name], sizes[name])),
        findings=_findings(covered[own], hits[own], len(made[own].strangeness), settings.coverage),
        grids=(
            _table(covered, sizes, inside),
            _by_size(inside[own], hits[own], subject.confidence),
            _by_class(hits[own], targets, subject),
        ),
    )


def _held(subject: AnalysisContext, most: int) -> tuple[Predictions, np.ndarray]:
    """What was predicted for at most so many validation rows, and what they are."""
    chosen, answers = subject.sample("validation", most), subject.answers("validation")
    shares = None if answers.probabilities is None else answers.probabilities[chosen]
    return Predictions(answers.values[chosen], shares), subject.rows["validation"].targets[chosen]


def _of_numbers(subject: AnalysisContext, settings: Settings, made: Conformal) -> Report:
    save(subject.folder, made)
    half = made.quantile(settings.coverage)
    if isinf(half):
        return _too_few(subject, settings, len(made.strangeness))
    hits = np.abs(subject.answers("test").values - subject.rows["test"].targets) <= half
    covered = coverage_of("coverage_residual", hits, subject.confidence)
    width = Score("interval_width", 2 * half, None, None, len(made.strangeness), "", "validation", "the same for every row")
    said = (
        f"Intervals of the answer ± {half:.4g} hold the truth of {_shown(covered)} of the test rows; "
        f"{settings.coverage:g} was asked for."
    )
    return Report(
        said=(said, _later(settings, "intervals")),
        scores=(covered, width),
        findings=_findings(covered, hits, len(made.strangeness), settings.coverage),
    )


def _too_few(subject: AnalysisContext, settings: Settings, held: int) -> Report:
    n, why = len(subject.rows["test"]), f"{held} validation rows are too few to promise {settings.coverage:g}"
    return Report(said=(f"{why[0].upper()}{why[1:]}.",), scores=(Score("coverage", None, None, None, n, "share", "test", why),))


def coverage_of(name: str, hits: np.ndarray, confidence: float) -> Score:
    """Share of rows whose set holds the truth, with its exact interval."""
    if not len(hits):
        return Score(name, None, None, None, 0, "share", "test", "no rows")
    low, high = exact_interval(int(hits.sum()), len(hits), confidence)
    return Score(name, float(hits.mean()), low, high, len(hits), "share", "test", "exact binomial interval")


def chance_of_so_few(hits: int, rows: int, held: int, coverage: float) -> float:
    """Probability that so few of the rows' sets hold the truth, were they drawn like the held ones.

    Source: the coverage of one draw of held rows is Beta(k, n + 1 - k), k = ⌈(n + 1) coverage⌉: Vovk 2012, section 2.
    """
    from scipy.stats import betabinom

    rank = int(np.ceil((held + 1) * coverage - 1e-9))
    return float(betabinom.cdf(hits, rows, rank, held + 1 - rank))


def _mean(name: str, values: np.ndarray, subject: AnalysisContext, unit: str) -> Score:
    return bootstrapped(name, len(values), lambda counts: counts @ values / counts.sum(1), subject, unit=unit)


def _table(covered: dict[Method, Score], sizes: dict[Method, Score], inside: dict[Method, np.ndarray]) -> Grid:
    rows = []
    for name, one in inside.items():
        share, size = covered[name], sizes[name]
        alone = float((one.sum(1) == 1).mean())
        rows.append((name, share.value, share.low, share.high, size.value, size.low, size.high, alone))
    columns = ("sets", "coverage", "low", "high", "mean size", "low", "high", "one class")
    return Grid("Sets of the test rows", columns, rows)


def _by_size(inside: np.ndarray, hits: np.ndarray, confidence: float) -> Grid:
    """Coverage of small and of large sets: the promise is of all rows together."""
    sizes, rows = inside.sum(1), list[tuple[str, int, float, float, float]]()
    for name, chosen in (("1", sizes == 1), ("2 or 3", (sizes > 1) & (sizes <= 3)), ("4 and more", sizes > 3)):
        if chosen.any():
            low, high = exact_interval(int(hits[chosen].sum()), int(chosen.sum()), confidence)
            rows.append((name, int(chosen.sum()), float(hits[chosen].mean()), low, high))
    return Grid("Coverage by size of the set", ("classes in the set", "rows", "coverage", "low", "high"), rows)


def _by_class(hits: np.ndarray, targets: np.ndarray, subject: AnalysisContext) -> Grid:
    rows = []
    for number, name in enumerate(subject.labels.names):
        own = hits[targets == number]
        if len(own) >= _FEWEST:
            low, high = exact_interval(int(own.sum()), len(own), subject.confidence)
            rows.append((name, len(own), float(own.mean()), low, high))
    rows.sort(key=lambda row: row[2])
    title = f"The {min(_WORST, len(rows))} classes that are covered least, of those with {_FEWEST} test rows and more"
    return Grid(title, ("class", "rows", "coverage", "low", "high"), rows[:_WORST])


def _shown(score: Score) -> str:
    return f"{score.value:.3f} ({score.low:.3f} to {score.high:.3f})"


def _later(settings: Settings, what: str) -> str:
    return f"tunewright predict RUN rows.csv --sets {settings.coverage:g} gives such {what} to new rows."


def _said(covered: Score, size: Score, inside: np.ndarray, made: Conformal, settings: Settings) -> tuple[str, ...]:
    if covered.value is None:
        return ()
    alone = (inside.sum(1) == 1).mean()
    return (
        f"Sets of {size.value:.2f} classes on average hold the right one of {_shown(covered)} of the test rows; "
        f"{settings.coverage:g} was asked for. {alone:.0%} of them are one class.",
        f"Method {made.method}, fitted on {len(made.strangeness)} validation rows. {_later(settings, 'sets')}",
    )


def _findings(covered: Score, hits: Sequence[bool] | np.ndarray, held: int, coverage: float) -> tuple[Finding, ...]:
    if covered.value is None:
        return ()
    chance = chance_of_so_few(int(np.sum(hits)), len(hits), held, coverage)
    if chance >= _UNLIKELY:
        return ()
    message = (
        f"sets hold the truth of {_shown(covered)} of the test rows, less than the {coverage:g} that the validation rows promise "
        f"(p {chance:.2g}): the two parts differ, or training was chosen by the validation rows; tunewright report RUN shift"
    )
    return (Finding("coverage_missed", message, "warning"),)
