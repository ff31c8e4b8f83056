"""How wrong the model is where it answers only the rows that it is surest of, and how many it can answer at a given risk.

Source: risk and coverage: El-Yaniv and Wiener 2010; area: Geifman, Uziel and El-Yaniv 2019, Bias-Reduced Uncertainty Estimation,
section 3; a threshold whose risk holds for new rows: Geifman and El-Yaniv 2017, Selective Classification, algorithm 1.
When: a person can take over what the model leaves out. When not: every row has to be answered by the model.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log2

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tunewright.analysis.bootstrap import bootstrapped
from tunewright.analysis.context import AnalysisContext
from tunewright.analysis.evidence import Chart, Grid, Report
from tunewright.core.types import Finding, Predictions, Score
from tunewright.evaluation.intervals import exact_interval

TASKS = ("classification",)
KINDS = None
DEFAULT = True

_CELLS = 20_000_000  # rows x resamples that are sorted at once
_FEWEST_ERRORS = 10  # below it nothing is said of how errors are ranked (a guess)
_POINTS = 100  # of a drawn curve


class Settings(BaseModel):
    """Which risks are asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    risks: tuple[float, ...] = Field((0.05, 0.01), description="Shares of wrong answers that are accepted (a guess).")
    guarantee: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="How surely new rows keep to the risk (Geifman and El-Yaniv 2017: 0.999); 0 takes the validation rows at "
        "their word.",
    )


def report(subject: AnalysisContext, settings: Settings) -> Report:
    """Risk over coverage on the test rows; thresholds come from the validation rows."""
    sure, right = certainty(subject, "test")
    held, held_right = certainty(subject, "validation")
    area = bootstrapped("risk_coverage_area", len(sure), risk_coverage_area(sure, right), subject, unit="share")
    gain = bootstrapped("abstention_gain", len(sure), _gain(sure, right), subject, unit="share")
    thresholds = {risk: threshold(held, held_right, risk, settings.guarantee) for risk in settings.risks}
    rows = {risk: _at(subject, sure, right, risk, found) for risk, found in thresholds.items()}
    return Report(
        said=_said(area, gain, rows, thresholds),
        scores=(area, gain, *(one for pair in rows.values() for one in pair)),
        findings=_findings(right, gain, rows),
        grids=(_grid(rows, thresholds),),
        charts=(_chart(sure, right),),
    )


def certainty(subject: AnalysisContext, part: str) -> tuple[np.ndarray, np.ndarray]:
    """The probability of each row's answer, and whether the answer is right, both (n,)."""
    predictions, targets = subject.answers(part), subject.rows[part].targets
    return _of_answer(predictions), np.asarray(predictions.values == targets)


def _of_answer(predictions: Predictions) -> np.ndarray:
    assert predictions.probabilities is not None
    found: np.ndarray = predictions.probabilities[np.arange(len(predictions.values)), predictions.values]
    return found


def risk_coverage_area(sure: np.ndarray, right: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Mean risk over all coverages, as a function of how often rows count; rows of one certainty come together."""
    order, ends = _sorted(sure)
    wrong = ~right[order]

    def of_piece(counts: np.ndarray) -> np.ndarray:
        counts = counts[:, order]
        many, errors = counts.cumsum(1)[:, ends], (counts * wrong).cumsum(1)[:, ends]
        found: np.ndarray = (counts * errors / np.maximum(many, 1)).sum(1) / counts.sum(1)
        return found

    def statistic(counts: np.ndarray) -> np.ndarray:
        return np.concatenate([of_piece(piece) for piece in np.array_split(counts, 1 + counts.size // _CELLS)])

    return statistic


def _gain(sure: np.ndarray, right: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """What knowing its own errors is worth: the risk of a random order, which is that of all rows, less the area."""
    area, wrong = risk_coverage_area(sure, right), ~right
    return lambda counts: counts @ wrong / counts.sum(1) - area(counts)


def _sorted(sure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows from the surest on, and for each the place of the last that is as sure."""
    order = np.argsort(-sure, kind="stable")
    values = -sure[order]
    return order, np.searchsorted(values, values, side="right") - 1


def curve(sure: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(coverage, risk, certainty) at each certainty that a threshold can be put at, from the highest on."""
    order, ends = _sorted(sure)
    places = np.unique(ends)
    many = places + 1
    return many / len(sure), (~right[order]).cumsum()[places] / many, sure[order][places]


def threshold(sure: np.ndarray, right: np.ndarray, risk: float, guarantee: float = 0.0) -> float | None:
    """The lowest certainty from which the rows' risk is at most this; None where no row can be answered.

    With a ``guarantee``, what is bounded is the risk of new rows: by binomial bounds along a binary search.
    """
    if not len(sure):
        return None
    coverage, risks, at = curve(sure, right)
    if not guarantee:
        kept = np.flatnonzero(risks <= risk)
        return float(at[kept[-1]]) if len(kept) else None
    many = np.round(coverage * len(sure)).astype(int)
    tests = max(1, ceil(log2(len(at))))
    low, high, best = 0, len(at) - 1, None
    for _ in range(tests):
        middle = (low + high + 1) // 2
        wrong = round(float(risks[middle] * many[middle]))
        if risk_bound(wrong, int(many[middle]), 1 - (1 - guarantee) / tests) <= risk:
            low, best = middle, float(at[middle])
        else:
            high = max(middle - 1, 0)
    return best


def risk_bound(wrong: int, many: int, confidence: float) -> float:
    """The risk that so few errors do not speak against (one-sided Clopper and Pearson)."""
    from scipy.stats import beta

    return 1.0 if wrong == many else float(beta.ppf(confidence, wrong + 1, many - wrong))


def _at(subject: AnalysisContext, sure: np.ndarray, right: np.ndarray, risk: float, found: float | None) -> tuple[Score, Score]:
    """Coverage and risk of the test rows above a threshold, with exact intervals."""
    names = f"coverage_at_risk_{risk:g}", f"risk_of_answers_at_{risk:g}"
    if found is None:
        why = "no validation row can be answered at this risk"
        return tuple(Score(name, None, None, None, len(sure), "share", "test", why) for name in names)  # type: ignore[return-value]
    kept = sure >= found
    return (
        _share(names[0], kept, subject.confidence),
        _share(names[1], ~right[kept], subject.confidence),
    )


def _share(name: str, hits: np.ndarray, confidence: float) -> Score:
    if not len(hits):
        return Score(name, None, None, None, 0, "share", "test", "no test row is answered")
    low, high = exact_interval(int(hits.sum()), len(hits), confidence)
    return Score(name, float(hits.mean()), low, high, len(hits), "share", "test", "exact binomial interval")


def _grid(rows: dict[float, tuple[Score, Score]], thresholds: dict[float, float | None]) -> Grid:
    cells = [
        (f"{risk:g}", thresholds[risk], kept.value, kept.low, kept.high, found.value, found.low, found.high)
        for risk, (kept, found) in rows.items()
    ]
    columns = ("wanted risk", "answer from", "coverage", "low", "high", "risk", "low", "high")
    return Grid("Thresholds from the validation rows, on the test rows", columns, cells)


def _chart(sure: np.ndarray, right: np.ndarray) -> Chart:
    coverage, risk, _ = curve(sure, right)
    chosen = np.unique(np.linspace(0, len(coverage) - 1, _POINTS).astype(int))
    model = tuple((float(coverage[at]), float(risk[at])) for at in chosen)
    share, wrong = np.linspace(0.01, 1, _POINTS), float((~right).mean())
    best = tuple((float(at), float(max(0.0, 1 - (1 - wrong) / at))) for at in share)
    lines = (("by its certainty", model), ("best possible", best), ("at random", ((0.0, wrong), (1.0, wrong))))
    return Chart("Risk over coverage", "share of rows that is answered", "share of answers that is wrong", lines)


def _said(
    area: Score, gain: Score, rows: dict[float, tuple[Score, Score]], thresholds: dict[float, float | None]
) -> tuple[str, ...]:
    said = []
    if area.value is not None and gain.value is not None:
        everyone = area.value + gain.value
        said.append(f"Of all answers {everyone:.1%} are wrong; on average over all coverages, surest first, {area.value:.1%}.")
    for risk, (kept, found) in rows.items():
        if kept.value is None:
            said.append(f"No threshold keeps the risk at {risk:g}: {kept.note}.")
            continue
        wrong = (
            "none is answered" if found.value is None else f"{found.value:.1%} are wrong ({found.low:.1%} to {found.high:.1%})"
        )
        said.append(
            f"Answering from a probability of {thresholds[risk]:.3f}, chosen on the validation rows for a risk of {risk:g}, "
            f"covers {kept.value:.1%} ({kept.low:.1%} to {kept.high:.1%}) of the test rows, of which {wrong}."
        )
    return tuple(said)


def _findings(right: np.ndarray, gain: Score, rows: dict[float, tuple[Score, Score]]) -> tuple[Finding, ...]:
    found = []
    if (~right).sum() >= _FEWEST_ERRORS and gain.low is not None and gain.low <= 0:
        message = (
            f"the probability does not tell right answers from the {(~right).sum()} wrong ones: leaving out the least sure rows "
            "gains nothing that is certain; look at the worst errors before a threshold is put anywhere"
        )
        found.append(Finding("uncertainty_tells_nothing", message, "warning"))
    for risk, (_, at) in rows.items():
        if at.low is not None and at.low > risk:
            message = (
                f"a threshold for a risk of {risk:g} has {at.value:.3f} ({at.low:.3f} to {at.high:.3f}) on the test rows: the "
                "validation rows are too few or too easy; tunewright report RUN abstention --set guarantee=0.95"
            )
            found.append(Finding("risk_not_kept", message, "warning"))
    return tuple(found)
