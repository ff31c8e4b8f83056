"""Whether probabilities mean what they say, and what scaling them by the validation rows would change.

Source: reliability diagram and temperature: Guo et al. 2017, On Calibration of Modern Neural Networks, section 2 and 4.2; the
error without the bias of counting few rows: Kumar, Liang and Ma 2019, Verified Uncertainty Calibration, section 5.
When: the probability decides something, an abstention or a cost. When not: only the most likely class is used.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tunewright.analysis.bootstrap import bootstrapped
from tunewright.analysis.context import AnalysisContext
from tunewright.analysis.evidence import Chart, Grid, Report
from tunewright.core.types import Finding, Labels, Predictions, Score
from tunewright.evaluation.intervals import score
from tunewright.tasks.shared.calibration import scaled, with_scaling

TASKS = ("classification",)
KINDS = None
DEFAULT = True

_TOLD = 0.02  # calibration error from which over- or under-confidence is said (a guess)
_WORTH = 0.9  # a remedy is named where it leaves less than this share of the error (a guess)


class Settings(BaseModel):
    """How the error is counted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bins: int = Field(15, ge=2, le=100, description="Bins of equally many rows (15: Guo et al. 2017, who cut equal widths).")


def report(subject: AnalysisContext, settings: Settings) -> Report:
    """Calibration errors of the test rows as they are, and with what the validation rows would make of them."""
    targets, shares = subject.rows["test"].targets, _shares(subject.answers("test"))
    ways = {"as it is": shares}
    if subject.labels.temperature == 1.0 and not subject.labels.isotonic:
        held, wanted = _shares(subject.answers("validation")), subject.rows["validation"].targets
        for how in ("temperature", "isotonic"):
            ways[how] = scaled(shares, with_scaling(_plain(subject.labels), held, wanted, how))  # type: ignore[arg-type]
    scores = {way: _scores(subject, targets, found, settings.bins) for way, found in ways.items()}
    temperature = with_scaling(_plain(subject.labels), held, wanted, "temperature").temperature if len(ways) > 1 else None
    return Report(
        said=_said(scores, temperature),
        scores=tuple(_named(one, way) for way, found in scores.items() for one in found),
        findings=_findings(subject, targets, shares, scores),
        grids=(Grid("Calibration on the test rows", ("scaling", *_NAMES.values()), [_row(way, scores[way]) for way in ways]),),
        charts=(
            Chart(
                "Reliability",
                "how sure",
                "how often right",
                tuple((way, tuple(_bins(targets, found, settings.bins))) for way, found in ways.items() if way != "isotonic"),
                diagonal=True,
            ),
        ),
    )


_NAMES = {
    "calibration_error": "calibration error",
    "debiased_calibration_error": "debiased",
    "brier": "Brier",
    "log_loss": "log loss",
}


def _shares(predictions: Predictions) -> np.ndarray:
    assert predictions.probabilities is not None
    return predictions.probabilities


def _plain(labels: Labels) -> Labels:
    return Labels(labels.task, labels.names)


def _scores(subject: AnalysisContext, targets: np.ndarray, shares: np.ndarray, bins: int) -> list[Score]:
    predictions = Predictions(shares.argmax(1), shares)
    how = {"confidence": subject.confidence, "resamples": subject.resamples, "seed": subject.seed}
    return [
        bootstrapped("calibration_error", len(targets), calibration_error(targets, shares, bins), subject, unit="share"),
        bootstrapped(
            "debiased_calibration_error", len(targets), debiased_calibration_error(targets, shares, bins), subject, unit="share"
        ),
        *(score(name, targets, predictions, subject.labels, **how) for name in ("brier", "log_loss")),  # type: ignore[arg-type]
    ]


def calibration_error(targets: np.ndarray, shares: np.ndarray, bins: int) -> Callable[[np.ndarray], np.ndarray]:
    """Mean gap between how sure and how often right, over bins of equally many rows, as a function of how often rows count."""
    sums = _sums(targets, shares, bins)

    def statistic(counts: np.ndarray) -> np.ndarray:
        many, sure, right = (counts @ one for one in sums)
        found: np.ndarray = np.abs(sure - right).sum(1) / many.sum(1)
        return found

    return statistic


def debiased_calibration_error(targets: np.ndarray, shares: np.ndarray, bins: int) -> Callable[[np.ndarray], np.ndarray]:
    """Root of the mean squared gap, less what the chance of few rows in a bin adds to it (Kumar et al. 2019, section 5)."""
    sums = _sums(targets, shares, bins)

    def statistic(counts: np.ndarray) -> np.ndarray:
        many, sure, right = (counts @ one for one in sums)
        often = right / np.maximum(many, 1)
        gaps = np.square(sure / np.maximum(many, 1) - often) - often * (1 - often) / np.maximum(many - 1, 1)
        squared = (gaps * many).sum(1) / many.sum(1)
        found: np.ndarray = np.sqrt(np.maximum(squared, 0))
        return found

    return statistic


def _sums(targets: np.ndarray, shares: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each row its bin, how sure it is there, and whether it is right, (n, bins) each."""
    sure = shares.max(1)
    place = np.zeros(len(sure), dtype=np.int64)
    place[np.argsort(sure, kind="stable")] = np.arange(len(sure)) * min(bins, len(sure)) // len(sure)
    inside = np.eye(bins)[place]
    return inside, inside * sure[:, None], inside * (shares.argmax(1) == targets)[:, None]


def _bins(targets: np.ndarray, shares: np.ndarray, bins: int) -> list[tuple[float, float]]:
    """(how sure, how often right) of each bin that has rows."""
    many, sure, right = (one.sum(0) for one in _sums(targets, shares, bins))
    return [(float(sure[at] / many[at]), float(right[at] / many[at])) for at in np.flatnonzero(many)]


def _named(one: Score, way: str) -> Score:
    note = one.note if way == "as it is" else f"with {way} scaling{', ' if one.note else ''}{one.note}"
    return Score(one.name if way == "as it is" else f"{one.name}_{way}", *_values(one), note)


def _values(one: Score) -> tuple[float | None, float | None, float | None, int, str, str]:
    return one.value, one.low, one.high, one.n, one.unit, one.split


def _row(way: str, scores: list[Score]) -> tuple[str | float | None, ...]:
    values = {one.name: one.value for one in scores}
    return (way, *(values[name] for name in _NAMES))


def _said(scores: dict[str, list[Score]], temperature: float | None) -> tuple[str, ...]:
    plain = scores["as it is"][0]
    if plain.value is None:
        return ()
    said = [f"Said probabilities and right answers differ by {plain.value:.3f} on average ({plain.low:.3f} to {plain.high:.3f})."]
    if temperature is not None:
        after = scores["temperature"][0].value
        said.append(f"A temperature of {temperature:.2f}, fitted on the validation rows, makes that {after:.3f}.")
    return tuple(said)


def _findings(
    subject: AnalysisContext, targets: np.ndarray, shares: np.ndarray, scores: dict[str, list[Score]]
) -> tuple[Finding, ...]:
    plain, debiased = scores["as it is"][:2]
    if plain.value is None or debiased.low is None or debiased.low < _TOLD:  # few rows alone make the plain error large
        return ()
    gap = shares.max(1).mean() - (shares.argmax(1) == targets).mean()
    losses = {way: found[-1].value for way, found in scores.items()}
    best = min((way for way in losses if losses[way] is not None), key=lambda way: losses[way] or 0.0, default="as it is")
    message = f"probabilities are {'too high' if gap > 0 else 'too low'}: {plain.value:.3f} away from how often they are right"
    after = scores[best][0].value
    if after is not None and after < _WORTH * plain.value:
        message += f"; --set head.name={subject.task} --set head.calibrate={best} makes that {after:.3f}"
    return (Finding("miscalibrated", message, "warning"),)
