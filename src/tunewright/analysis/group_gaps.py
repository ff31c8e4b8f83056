"""Which groups of rows a model treats differently, by how much, and what chance gives: outcomes, rates and their largest gaps.

Source: fairlearn does the arithmetic of the differences (Weerts et al. 2023); equalised odds: Hardt, Price and Srebro 2016,
section 2; a gap counts where its interval leaves out what shuffled groups give (``gaps.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunewright.analysis.bootstrap import bootstrapped
from tunewright.analysis.context import AnalysisContext
from tunewright.analysis.evidence import Cell
from tunewright.analysis.gaps import Rate, gaps, largest, p_value, ratios, smallest
from tunewright.core.errors import unknown
from tunewright.core.optional_packages import require
from tunewright.core.types import Predictions, Score
from tunewright.datasets.groups import Groups

BINS = 10  # of probabilities, in each of the groups that are compared by their calibration (a guess)


@dataclass(frozen=True)
class Outcomes:
    """Of each row and class whether it was given, is wanted, and is right, (n, k); without classes numbers and their errors."""

    names: tuple[str, ...]
    given: np.ndarray
    wanted: np.ndarray
    right: np.ndarray

    @property
    def classes(self) -> bool:
        """Whether classes are given, not numbers."""
        return bool(self.names)


@dataclass(frozen=True)
class Gap:
    """One comparison of a column's groups: the score, what shuffled groups give on average, and how often they give as much."""

    column: str
    score: Score
    ratio: Score | None
    chance: float
    p: float
    at: tuple[str, str, str]  # the class, the group with the smallest mean, and the one with the largest
    means: tuple[float, float]


def outcomes_of(subject: AnalysisContext, positive: str | None, part: str) -> Outcomes:
    """What a part's rows are given and want; of two classes the one that counts."""
    predicted, targets, names = subject.answers(part).values, subject.rows[part].targets, subject.labels.names
    if subject.task == "regression":
        return Outcomes((), predicted[:, None], targets[:, None], np.abs(predicted - targets)[:, None])
    if subject.task == "multi_label":
        given, wanted = predicted.astype(bool), targets.astype(bool)
        return Outcomes(names, given, wanted, given == wanted)
    right = (predicted == targets)[:, None]
    given, wanted = (np.eye(len(names), dtype=bool)[values.astype(int)] for values in (predicted, targets))
    if len(names) > 2:
        return Outcomes(names, given, wanted, right)
    at = [positive_class(subject, positive)]
    return Outcomes((names[at[0]],), given[:, at], wanted[:, at], right)


def positive_class(subject: AnalysisContext, positive: str | None) -> int:
    """The number of the class that it means something to be given."""
    names = subject.labels.names
    if positive is not None and positive not in names:
        raise unknown("class", positive, names)
    return len(names) - 1 if positive is None else names.index(positive)


def rates_of(outcomes: Outcomes, inside: np.ndarray, fewest: int) -> dict[str, Rate]:
    """What is compared between groups, by name."""
    everyone = np.ones_like(outcomes.given, dtype=bool)
    if not outcomes.classes:
        return {
            "mean_prediction": Rate.of(outcomes.given, everyone, inside, fewest),
            "mean_absolute_error": Rate.of(outcomes.right, everyone, inside, fewest),
        }
    return {
        "selection_rate": Rate.of(outcomes.given, everyone, inside, fewest),
        "true_positive_rate": Rate.of(outcomes.given, outcomes.wanted, inside, fewest),
        "false_positive_rate": Rate.of(outcomes.given, ~outcomes.wanted, inside, fewest),
        "accuracy": Rate.of(outcomes.right, np.ones_like(outcomes.right, dtype=bool), inside, fewest),
    }


# name of the difference -> the rates whose largest gap it is
DIFFERENCES = {
    "demographic_parity": ("selection_rate",),
    "equalised_odds": ("true_positive_rate", "false_positive_rate"),
    "accuracy": ("accuracy",),
    "mean_prediction": ("mean_prediction",),
    "mean_absolute_error": ("mean_absolute_error",),
}


def compared(subject: AnalysisContext, fewest: int, groups: Groups, outcomes: Outcomes, predictions: Predictions) -> list[Gap]:
    """Every comparison of one column's groups that two groups are large enough for."""
    inside = groups.inside("test")
    rates, found = rates_of(outcomes, inside, fewest), []
    for name, parts in DIFFERENCES.items():
        used = [rates[part] for part in parts if part in rates and len(rates[part].classes)]
        if used:
            found.append(gap_of(subject, groups, outcomes, name, dict(zip(parts, used, strict=False))))
    if subject.task == "classification" and predictions.probabilities is not None:
        found += _calibration_gap(subject, fewest, groups, predictions.probabilities)
    return found


def gap_of(subject: AnalysisContext, groups: Groups, outcomes: Outcomes, name: str, rates: dict[str, Rate]) -> Gap:
    """The largest gap of some rates, with what shuffled groups give."""
    n = len(outcomes.right)
    once = np.ones((1, n), dtype=np.int32)
    of_class = {part: gaps(rate.means(once))[0] for part, rate in rates.items()}
    worst = max(rates, key=lambda part: np.nanmax(of_class[part]))
    rate, at = rates[worst], int(np.nanargmax(of_class[worst]))
    means = rate.means(once)[0, :, at]
    low, high = int(np.nanargmin(means)), int(np.nanargmax(means))

    def over_rates(read: Callable[[np.ndarray], np.ndarray], over: Callable[[np.ndarray], np.ndarray]) -> Any:
        return lambda counts: over(np.stack([over(read(one.means(counts))) for one in rates.values()], 1))

    unit = "share" if outcomes.classes else "target"
    of_class_each = outcomes.classes and (name != "accuracy" or subject.task == "multi_label")
    label = outcomes.names[at] if of_class_each else ""
    own = bootstrapped(f"{groups.column}:{name}_difference", n, over_rates(gaps, largest), subject, unit=unit)
    ratio = None
    if outcomes.classes:
        ratio = bootstrapped(f"{groups.column}:{name}_ratio", n, over_rates(ratios, smallest), subject, unit="ratio")
    assert own.value is not None
    official = _fairlearn(worst, rate, at, outcomes, groups)
    own = Score(own.name, official, own.low, own.high, n, unit, "test", own.note)
    shuffled = largest(np.concatenate([one.shuffled(subject.resamples, subject.seed) for one in rates.values()], 1))
    return Gap(
        groups.column,
        own,
        ratio,
        float(shuffled.mean()),
        p_value(official, shuffled),
        (label, groups.names[low], groups.names[high]),
        (float(means[low]), float(means[high])),
    )


def _fairlearn(name: str, rate: Rate, at: int, outcomes: Outcomes, groups: Groups) -> float:
    """The difference between the groups that are compared, by fairlearn."""
    metrics: Any = require("fairlearn.metrics", "fairness", "differences between groups")
    from sklearn.metrics import accuracy_score, mean_absolute_error

    measure = {
        "selection_rate": metrics.selection_rate,
        "true_positive_rate": metrics.true_positive_rate,
        "false_positive_rate": metrics.false_positive_rate,
        "accuracy": accuracy_score,
        "mean_prediction": metrics.mean_prediction,
        "mean_absolute_error": mean_absolute_error,
    }[name]
    place = groups.places["test"]
    taken = rate.compared[place, at]
    if name == "accuracy":
        wanted, given = np.ones(len(place), dtype=int), outcomes.right[:, at].astype(int)
    else:
        wanted, given = (values[:, at] for values in (outcomes.wanted, outcomes.given))
    if outcomes.classes:
        wanted, given = wanted.astype(int), given.astype(int)
    frame = metrics.MetricFrame(
        metrics=measure, y_true=wanted[taken], y_pred=given[taken], sensitive_features=place[taken].astype(int)
    )
    return float(frame.difference())


def _calibration_gap(subject: AnalysisContext, fewest: int, groups: Groups, shares: np.ndarray) -> list[Gap]:
    """The gap in calibration error, over bins of all rows' probabilities, so that shuffled groups have the same bins."""
    inside, targets = groups.inside("test"), subject.rows["test"].targets
    large = inside.sum(0) >= fewest
    if large.sum() < 2:
        return []
    sure = shares.max(1)
    bins = np.searchsorted(np.quantile(sure, np.linspace(0, 1, BINS + 1)[1:-1]), sure)
    excess = np.eye(BINS, dtype=np.float32)[bins] * (sure - (shares.argmax(1) == targets))[:, None].astype(np.float32)
    taken = large[groups.places["test"]]
    columns = inside[:, large]

    def of(counts: np.ndarray, columns: np.ndarray = columns) -> np.ndarray:
        """Error of each group, (resamples, groups)."""
        counts = counts.astype(np.float32)
        many = counts @ columns
        sums = np.stack([np.abs(counts @ (column[:, None] * excess)).sum(1) for column in columns.T], 1)
        found: np.ndarray = sums / np.maximum(many, 1)
        return found

    n = int(taken.sum())
    own = bootstrapped(
        f"{groups.column}:calibration_error_difference",
        len(targets),
        lambda counts: gaps(of(counts)[:, :, None])[:, 0],
        subject,
        unit="share",
    )
    generator = np.random.default_rng(subject.seed)
    kept, sizes, shuffled = excess[taken], columns[taken].sum(0), []
    for _ in range(subject.resamples):
        sums = generator.permutation(columns[taken]).T @ kept
        errors = np.abs(sums).sum(1) / sizes
        shuffled.append(errors.max() - errors.min())
    errors = of(np.ones((1, len(targets))))[0]
    names = [name for name, one in zip(groups.names, large, strict=True) if one]
    low, high = int(errors.argmin()), int(errors.argmax())
    assert own.value is not None
    return [
        Gap(
            groups.column,
            Score(own.name, own.value, own.low, own.high, n, "share", "test", own.note),
            None,
            float(np.mean(shuffled)),
            p_value(own.value, np.array(shuffled)),
            ("", names[low], names[high]),
            (float(errors[low]), float(errors[high])),
        )
    ]


def told(gap: Gap, p: float, confidence: float) -> bool:
    """Whether the interval leaves out what chance gives, and all tests together say so."""
    return gap.score.low is not None and gap.score.low > gap.chance and p <= 1 - confidence


def measure(gap: Gap) -> str:
    """What is compared, in words."""
    return gap.score.name.rpartition(":")[2].removesuffix("_difference").replace("_", " ")


def bounded(value: float | None, low: float | None, high: float | None) -> Cell:
    """'0.150 (0.052 to 0.254)'; the value alone where it has no interval."""
    if value is None or low is None or high is None:
        return value
    return f"{value:.3f} ({low:.3f} to {high:.3f})"
