"""Who is treated worse: rates, errors and calibration of groups in any column of the file, and whether chance explains the gaps.

Source: fairlearn does the arithmetic of the differences (Weerts et al. 2023, Fairlearn: Assessing and Improving Fairness of AI
Systems); equalised odds: Hardt, Price and Srebro 2016, section 2; thresholds by group: the same, section 4.
When: predictions decide about people, or rows come from groups that should be served alike. When not: no column tells the groups;
a gap alone does not say what is unfair: groups may differ in truth, too, which demographic parity does not look at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tunewright.core.errors import UserError, unknown
from tunewright.core.extras import require
from tunewright.core.types import Finding, Predictions, Score
from tunewright.data.groups import Groups, groups_of
from tunewright.evaluation.bootstrap import bootstrapped
from tunewright.evaluation.evidence import Cell, Grid, Report
from tunewright.evaluation.gaps import Rate, gaps, holm, largest, p_value, ratios, smallest
from tunewright.evaluation.intervals import exact_interval
from tunewright.evaluation.reports.calibration import calibration_error
from tunewright.evaluation.subject import Subject
from tunewright.evaluation.thresholds import CONSTRAINTS, by_group

TASKS = ("classification", "ordinal", "multi_label", "regression")
KINDS = None
DEFAULT = False

_BINS = 10  # of probabilities, in each of the groups that are compared by their calibration (a guess)


class Settings(BaseModel):
    """Whose groups, and which are large enough."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)] = Field(
        (), description="Columns of the file whose values are the groups; they need not be columns that the model reads."
    )
    positive: str | None = Field(
        None, description="Of two classes, the one that it means something to be given; None takes the last."
    )
    quantiles: int = Field(4, ge=2, le=20, description="Parts that a column of many numbers is cut into (a guess).")
    smallest: int = Field(20, ge=2, description="Rows that a group must have to be compared, of those that count (a guess).")
    thresholds: bool = Field(
        False,
        description="Of two classes, also measure thresholds for each group that the validation rows tell.",
    )


@dataclass(frozen=True)
class _Outcomes:
    """Of each row and class whether it was given, is wanted, and is right, (n, k); without classes numbers and their errors."""

    names: tuple[str, ...]
    given: np.ndarray
    wanted: np.ndarray
    right: np.ndarray

    @property
    def classes(self) -> bool:
        return bool(self.names)


@dataclass(frozen=True)
class _Gap:
    """One comparison of a column's groups: the score, what shuffled groups give on average, and how often they give as much."""

    column: str
    score: Score
    ratio: Score | None
    chance: float
    p: float
    at: tuple[str, str, str]  # the class, the group with the smallest mean, and the one with the largest
    means: tuple[float, float]


def report(subject: Subject, settings: Settings) -> Report:
    """Each column's groups side by side, and the gaps that chance does not explain."""
    if not settings.columns:
        raise UserError(
            "the report fairness was asked for without columns",
            expected="columns of the file whose values are the groups",
            try_=f"tunewright report {subject.folder} fairness --set columns=NAME",
        )
    require("fairlearn", "fairness", "differences between groups")
    predictions, outcomes = subject.answers("test"), _outcomes(subject, settings, "test")
    said, scores, grids, found = [], [], [], []
    for column in settings.columns:
        asked = ("validation", "test") if settings.thresholds else ("test",)
        groups = groups_of(column, {part: subject.column(part, column) for part in asked}, settings.quantiles)
        said += [*([groups.said] if groups.said else []), *_too_small(groups, settings.smallest)]
        compared = _compared(subject, settings, groups, outcomes, predictions)
        found += compared
        scores += [one for gap in compared for one in (gap.score, gap.ratio) if one is not None]
        grids.append(_by_group(subject, settings, groups, outcomes, predictions, compared))
        if settings.thresholds:
            grids += _with_thresholds(subject, settings, groups, outcomes)
    raised = holm([gap.p for gap in found])
    return Report(
        said=(*said, *_said(found, raised, subject.confidence)),
        scores=tuple(scores),
        findings=tuple(
            _finding(gap, outcomes.classes) for gap, p in zip(found, raised, strict=True) if _told(gap, p, subject.confidence)
        ),
        grids=(_all_gaps(found, raised), *grids) if found else tuple(grids),
    )


def _outcomes(subject: Subject, settings: Settings, part: str) -> _Outcomes:
    predicted, targets, names = subject.answers(part).values, subject.rows[part].targets, subject.labels.names
    if subject.task == "regression":
        return _Outcomes((), predicted[:, None], targets[:, None], np.abs(predicted - targets)[:, None])
    if subject.task == "multi_label":
        given, wanted = predicted.astype(bool), targets.astype(bool)
        return _Outcomes(names, given, wanted, given == wanted)
    right = (predicted == targets)[:, None]
    given, wanted = (np.eye(len(names), dtype=bool)[values.astype(int)] for values in (predicted, targets))
    if len(names) > 2:
        return _Outcomes(names, given, wanted, right)
    at = [_positive(subject, settings)]
    return _Outcomes((names[at[0]],), given[:, at], wanted[:, at], right)


def _positive(subject: Subject, settings: Settings) -> int:
    names = subject.labels.names
    if settings.positive is not None and settings.positive not in names:
        raise unknown("class", settings.positive, names)
    return len(names) - 1 if settings.positive is None else names.index(settings.positive)


def _rates(outcomes: _Outcomes, inside: np.ndarray, fewest: int) -> dict[str, Rate]:
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
_DIFFERENCES = {
    "demographic_parity": ("selection_rate",),
    "equalised_odds": ("true_positive_rate", "false_positive_rate"),
    "accuracy": ("accuracy",),
    "mean_prediction": ("mean_prediction",),
    "mean_absolute_error": ("mean_absolute_error",),
}


def _compared(subject: Subject, settings: Settings, groups: Groups, outcomes: _Outcomes, predictions: Predictions) -> list[_Gap]:
    """Every comparison of one column's groups that two groups are large enough for."""
    inside = groups.inside("test")
    rates, found = _rates(outcomes, inside, settings.smallest), []
    for name, parts in _DIFFERENCES.items():
        used = [rates[part] for part in parts if part in rates and len(rates[part].classes)]
        if used:
            found.append(_gap(subject, groups, outcomes, name, dict(zip(parts, used, strict=False))))
    if subject.task == "classification" and predictions.probabilities is not None:
        found += _calibration_gap(subject, settings, groups, predictions.probabilities)
    return found


def _gap(subject: Subject, groups: Groups, outcomes: _Outcomes, name: str, rates: dict[str, Rate]) -> _Gap:
    n = len(outcomes.right)
    once = np.ones((1, n), dtype=np.int32)
    of_class = {part: gaps(rate.means(once))[0] for part, rate in rates.items()}
    worst = max(rates, key=lambda part: np.nanmax(of_class[part]))
    rate, at = rates[worst], int(np.nanargmax(of_class[worst]))
    means = rate.means(once)[0, :, at]
    low, high = int(np.nanargmin(means)), int(np.nanargmax(means))

    def of_rates(read: Callable[[np.ndarray], np.ndarray], over: Callable[[np.ndarray], np.ndarray]) -> Any:
        return lambda counts: over(np.stack([over(read(one.means(counts))) for one in rates.values()], 1))

    unit = "share" if outcomes.classes else "target"
    of_class_each = outcomes.classes and (name != "accuracy" or subject.task == "multi_label")
    label = outcomes.names[at] if of_class_each else ""
    own = bootstrapped(f"{groups.column}:{name}_difference", n, of_rates(gaps, largest), subject, unit=unit)
    ratio = None
    if outcomes.classes:
        ratio = bootstrapped(f"{groups.column}:{name}_ratio", n, of_rates(ratios, smallest), subject, unit="ratio")
    assert own.value is not None
    official = _fairlearn(worst, rate, at, outcomes, groups)
    own = Score(own.name, official, own.low, own.high, n, unit, "test", own.note)
    shuffled = largest(np.concatenate([one.shuffled(subject.resamples, subject.seed) for one in rates.values()], 1))
    return _Gap(
        groups.column,
        own,
        ratio,
        float(shuffled.mean()),
        p_value(official, shuffled),
        (label, groups.names[low], groups.names[high]),
        (float(means[low]), float(means[high])),
    )


def _fairlearn(name: str, rate: Rate, at: int, outcomes: _Outcomes, groups: Groups) -> float:
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


def _calibration_gap(subject: Subject, settings: Settings, groups: Groups, shares: np.ndarray) -> list[_Gap]:
    """The gap in calibration error, over bins of all rows' probabilities, so that shuffled groups have the same bins."""
    inside, targets = groups.inside("test"), subject.rows["test"].targets
    compared = inside.sum(0) >= settings.smallest
    if compared.sum() < 2:
        return []
    sure = shares.max(1)
    bins = np.searchsorted(np.quantile(sure, np.linspace(0, 1, _BINS + 1)[1:-1]), sure)
    excess = np.eye(_BINS, dtype=np.float32)[bins] * (sure - (shares.argmax(1) == targets))[:, None].astype(np.float32)
    taken = compared[groups.places["test"]]
    columns = inside[:, compared]

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
    names = [name for name, one in zip(groups.names, compared, strict=True) if one]
    low, high = int(errors.argmin()), int(errors.argmax())
    assert own.value is not None
    return [
        _Gap(
            groups.column,
            Score(own.name, own.value, own.low, own.high, n, "share", "test", own.note),
            None,
            float(np.mean(shuffled)),
            p_value(own.value, np.array(shuffled)),
            ("", names[low], names[high]),
            (float(errors[low]), float(errors[high])),
        )
    ]


def _too_small(groups: Groups, fewest: int) -> list[str]:
    """Groups about which too few rows say anything."""
    many = groups.inside("test").sum(0)
    small = [f"'{name}' ({int(rows)})" for name, rows in zip(groups.names, many, strict=True) if rows < fewest]
    if not small:
        return []
    return [f"Too few test rows to compare, of '{groups.column}': {', '.join(small)}; a group needs {fewest}."]


def _told(gap: _Gap, p: float, confidence: float) -> bool:
    """Whether the interval leaves out what chance gives, and all tests together say so."""
    return gap.score.low is not None and gap.score.low > gap.chance and p <= 1 - confidence


def _measure(gap: _Gap) -> str:
    return gap.score.name.rpartition(":")[2].removesuffix("_difference").replace("_", " ")


def _said(found: list[_Gap], raised: list[float], confidence: float) -> list[str]:
    said = []
    for column in dict.fromkeys(gap.column for gap in found):
        own = [(gap, p) for gap, p in zip(found, raised, strict=True) if gap.column == column]
        beyond = [_measure(gap) for gap, p in own if _told(gap, p, confidence)]
        if beyond:
            said.append(f"The groups of '{column}' differ by more than chance gives in {', '.join(beyond)}.")
        else:
            said.append(f"Between the groups of '{column}' no gap is larger than chance explains.")
    return said


_MEANING = {
    "demographic parity": "are given {label} in shares of {low:.3f} and {high:.3f}",
    "equalised odds": "with the same true class are given {label} in shares of {low:.3f} and {high:.3f}",
    "accuracy": "are told rightly in shares of {low:.3f} and {high:.3f}",
    "calibration error": "have probabilities that are {low:.3f} and {high:.3f} away from how often they are right",
    "mean prediction": "have mean predictions of {low:.4g} and {high:.4g}",
    "mean absolute error": "have mean absolute errors of {low:.4g} and {high:.4g}",
}
_REMEDY = {
    "demographic parity": "; --set data.reweigh={column} or --set thresholds=true of this report",
    "equalised odds": "; --set data.reweigh={column} or --set thresholds=true of this report",
    "accuracy": "; more rows of '{first}'",
    "calibration error": "; --set head.calibrate=temperature",
}


def _finding(gap: _Gap, classes: bool) -> Finding:
    """Which groups, by how much, and what can be done."""
    name, (label, low, high) = _measure(gap), gap.at
    meaning = _MEANING[name].format(label=repr(label), low=gap.means[0], high=gap.means[1])
    remedy = _REMEDY.get(name, "").format(column=gap.column, first=low) if classes else ""
    message = (
        f"{gap.column}: '{low}' and '{high}' {meaning}: a gap of {gap.score.value:.3g} "
        f"({gap.score.low:.3g} to {gap.score.high:.3g}) where shuffled groups give {gap.chance:.3g}{remedy}"
    )
    return Finding("unequal_groups", message, "warning", count=gap.score.n)


def _all_gaps(found: list[_Gap], raised: list[float]) -> Grid:
    rows: list[tuple[Cell, ...]] = [
        (
            gap.column,
            f"{_measure(gap)}{f' ({gap.at[0]})' if gap.at[0] else ''}",
            _bounded(gap.score.value, gap.score.low, gap.score.high),
            gap.chance,
            None if gap.ratio is None else _bounded(gap.ratio.value, gap.ratio.low, gap.ratio.high),
            p,
            gap.score.n,
        )
        for gap, p in zip(found, raised, strict=True)
    ]
    columns = ("column", "measure", "largest difference", "by chance", "smallest ratio", "p, Holm", "rows")
    return Grid("Gaps between groups on the test rows", columns, rows)


def _by_group(
    subject: Subject,
    settings: Settings,
    groups: Groups,
    outcomes: _Outcomes,
    predictions: Predictions,
    compared: list[_Gap],
) -> Grid:
    """A row for each group, with its own intervals."""
    inside = groups.inside("test") > 0
    if not outcomes.classes:
        numbers: list[tuple[Cell, ...]] = [
            (name, int(rows.sum()), *(float(part[rows].mean()) for part in (outcomes.wanted, outcomes.given, outcomes.right)))
            for name, rows in zip(groups.names, inside.T, strict=True)
            if rows.any()
        ]
        means = (groups.column, "rows", "mean target", "mean prediction", "mean absolute error")
        return Grid(f"Groups of {groups.column}", means, numbers)
    label = next((gap.at[0] for gap in compared if gap.at[0]), outcomes.names[-1])
    at = outcomes.names.index(label)
    given, wanted = outcomes.given[:, at], outcomes.wanted[:, at]
    right = outcomes.right[:, at] if outcomes.right.shape[1] > 1 else outcomes.right[:, 0]
    rows: list[tuple[Cell, ...]] = []
    for name, own in zip(groups.names, inside.T, strict=True):
        if not own.any():
            continue
        cells: list[Cell] = [name, int(own.sum()), float(wanted[own].mean())]
        cells += [
            _share(subject, hits[own & among], settings.smallest)
            for hits, among in ((given, own), (given, wanted), (given, ~wanted), (right, own))
        ]
        if subject.task == "classification" and predictions.probabilities is not None:
            cells.append(_own_error(subject, predictions.probabilities, own, settings.smallest))
        rows.append(tuple(cells))
    titles = [groups.column, "rows", f"are {label}", f"given {label}", "true positive rate", "false positive rate", "right"]
    titles += ["calibration error"] if len(rows[0]) > len(titles) else []
    return Grid(f"Groups of {groups.column}", tuple(titles), rows)


def _share(subject: Subject, hits: np.ndarray, fewest: int) -> Cell:
    if len(hits) < fewest:
        return f"too few rows ({len(hits)})"
    return _bounded(float(hits.mean()), *exact_interval(int(hits.sum()), len(hits), subject.confidence))


def _own_error(subject: Subject, shares: np.ndarray, own: np.ndarray, fewest: int) -> Cell:
    n = int(own.sum())
    if n < fewest:
        return f"too few rows ({n})"
    statistic = calibration_error(subject.rows["test"].targets[own], shares[own], min(_BINS, max(2, n // fewest)))
    found = bootstrapped("calibration_error", n, statistic, subject)
    return _bounded(found.value, found.low, found.high)


def _bounded(value: float | None, low: float | None, high: float | None) -> Cell:
    if value is None or low is None or high is None:
        return value
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _with_thresholds(subject: Subject, settings: Settings, groups: Groups, outcomes: _Outcomes) -> list[Grid]:
    """What thresholds for each group, told by the validation rows, would make of the test rows' gaps and accuracy."""
    shares, held = subject.answers("test").probabilities, subject.answers("validation").probabilities
    if subject.task != "classification" or len(subject.labels.names) != 2 or shares is None or held is None:
        raise UserError("thresholds by group are for two classes", expected="a task of two classes", try_="thresholds=false")
    at = _positive(subject, settings)
    wanted = subject.rows["validation"].targets == at
    told = {
        constraint: by_group(
            held[:, at], wanted, groups.places["validation"], shares[:, at], groups.places["test"], constraint, subject.seed
        )
        for constraint in CONSTRAINTS
    }
    ways = {"as it is": outcomes.given[:, 0]} | {constraint: given for constraint, (given, _) in told.items()}
    rows: list[tuple[Cell, ...]] = []
    for way, given in ways.items():
        made = _Outcomes(outcomes.names, given[:, None], outcomes.wanted, (given == outcomes.wanted[:, 0])[:, None])
        rates = _rates(made, groups.inside("test"), settings.smallest)
        accuracy = exact_interval(int(made.right.sum()), len(given), subject.confidence)
        cells: list[Cell] = [way.replace("_", " "), _bounded(float(made.right.mean()), *accuracy)]
        for name in ("demographic_parity", "equalised_odds"):
            used = {part: rates[part] for part in _DIFFERENCES[name] if len(rates[part].classes)}
            gap = _gap(subject, groups, made, name, used).score if used else None
            cells.append(None if gap is None else _bounded(gap.value, gap.low, gap.high))
        rows.append(tuple(cells))
    title = f"Thresholds by {groups.column}, told by {len(wanted)} validation rows, on the test rows"
    rules: list[tuple[Cell, ...]] = [
        (name, *(found.get(place, "> 0.500: the validation rows do not tell") for _, found in told.values()))
        for place, name in enumerate(groups.names)
    ]
    return [
        Grid(title, ("thresholds", "accuracy", "demographic parity difference", "equalised odds difference"), rows),
        Grid(
            f"Probability of {outcomes.names[0]} from which it is given",
            (groups.column, *(way.replace("_", " ") for way in told)),
            rules,
        ),
    ]
