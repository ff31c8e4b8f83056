"""Who is treated worse: rates, errors and calibration of groups in any column of the file, and whether chance explains the gaps.

Source: fairlearn does the arithmetic of the differences (Weerts et al. 2023, Fairlearn: Assessing and Improving Fairness of AI
Systems); equalised odds: Hardt, Price and Srebro 2016, section 2; thresholds by group: the same, section 4.
When: predictions decide about people, or rows come from groups that should be served alike. When not: no column tells the groups;
a gap alone does not say what is unfair: groups may differ in truth, too, which demographic parity does not look at.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tunewright.analysis.bootstrap import bootstrapped
from tunewright.analysis.context import AnalysisContext
from tunewright.analysis.evidence import Cell, Grid, Report
from tunewright.analysis.gaps import holm
from tunewright.analysis.group_gaps import BINS, Gap, Outcomes, bounded, compared, measure, outcomes_of, positive_class, told
from tunewright.analysis.reports.calibration import calibration_error
from tunewright.analysis.threshold_tables import threshold_tables
from tunewright.core.errors import UserError
from tunewright.core.optional_packages import require
from tunewright.core.types import Finding, Predictions
from tunewright.datasets.groups import Groups, groups_of
from tunewright.evaluation.intervals import exact_interval

TASKS = ("classification", "ordinal", "multi_label", "regression")
KINDS = None
DEFAULT = False


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
        description="Of two classes, also measure thresholds for each group that the validation rows tell; "
        "--set head.thresholds_by=COLUMN keeps them with the model.",
    )


def report(subject: AnalysisContext, settings: Settings) -> Report:
    """Each column's groups side by side, and the gaps that chance does not explain."""
    if not settings.columns:
        raise UserError(
            "the report fairness was asked for without columns",
            expected="columns of the file whose values are the groups",
            try_=f"tunewright report {subject.folder} fairness --set columns=NAME",
        )
    require("fairlearn", "fairness", "differences between groups")
    predictions, outcomes = subject.answers("test"), outcomes_of(subject, settings.positive, "test")
    said, scores, grids, found = [], [], [], []
    for column in settings.columns:
        asked = ("validation", "test") if settings.thresholds else ("test",)
        groups = groups_of(column, {part: subject.column(part, column) for part in asked}, settings.quantiles)
        said += [*([groups.said] if groups.said else []), *_too_small(groups, settings.smallest)]
        gaps = compared(subject, settings.smallest, groups, outcomes, predictions)
        found += gaps
        scores += [one for gap in gaps for one in (gap.score, gap.ratio) if one is not None]
        grids.append(_by_group(subject, settings, groups, outcomes, predictions, gaps))
        if settings.thresholds:
            grids += threshold_tables(subject, groups, outcomes, positive_class(subject, settings.positive), settings.smallest)
    raised = holm([gap.p for gap in found])
    return Report(
        said=(*said, *_said(found, raised, subject.confidence)),
        scores=tuple(scores),
        findings=tuple(
            _finding(gap, outcomes.classes) for gap, p in zip(found, raised, strict=True) if told(gap, p, subject.confidence)
        ),
        grids=(_all_gaps(found, raised), *grids) if found else tuple(grids),
    )


def _too_small(groups: Groups, fewest: int) -> list[str]:
    """Groups about which too few rows say anything."""
    many = groups.inside("test").sum(0)
    small = [f"'{name}' ({int(rows)})" for name, rows in zip(groups.names, many, strict=True) if rows < fewest]
    if not small:
        return []
    return [f"Too few test rows to compare, of '{groups.column}': {', '.join(small)}; a group needs {fewest}."]


def _said(found: list[Gap], raised: list[float], confidence: float) -> list[str]:
    said = []
    for column in dict.fromkeys(gap.column for gap in found):
        own = [(gap, p) for gap, p in zip(found, raised, strict=True) if gap.column == column]
        beyond = [measure(gap) for gap, p in own if told(gap, p, confidence)]
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
    "demographic parity": "; --set data.group_reweighting={column} or --set head.thresholds_by={column}",
    "equalised odds": "; --set data.group_reweighting={column} or --set head.thresholds_by={column}",
    "accuracy": "; more rows of '{first}'",
    "calibration error": "; --set head.calibrate=temperature",
}


def _finding(gap: Gap, classes: bool) -> Finding:
    """Which groups, by how much, and what can be done."""
    name, (label, low, high) = measure(gap), gap.at
    meaning = _MEANING[name].format(label=repr(label), low=gap.means[0], high=gap.means[1])
    remedy = _REMEDY.get(name, "").format(column=gap.column, first=low) if classes else ""
    message = (
        f"{gap.column}: '{low}' and '{high}' {meaning}: a gap of {gap.score.value:.3g} "
        f"({gap.score.low:.3g} to {gap.score.high:.3g}) where shuffled groups give {gap.chance:.3g}{remedy}"
    )
    return Finding("unequal_groups", message, "warning", count=gap.score.n)


def _all_gaps(found: list[Gap], raised: list[float]) -> Grid:
    rows: list[tuple[Cell, ...]] = [
        (
            gap.column,
            f"{measure(gap)}{f' ({gap.at[0]})' if gap.at[0] else ''}",
            bounded(gap.score.value, gap.score.low, gap.score.high),
            gap.chance,
            None if gap.ratio is None else bounded(gap.ratio.value, gap.ratio.low, gap.ratio.high),
            p,
            gap.score.n,
        )
        for gap, p in zip(found, raised, strict=True)
    ]
    columns = ("column", "measure", "largest difference", "by chance", "smallest ratio", "p, Holm", "rows")
    return Grid("Gaps between groups on the test rows", columns, rows)


def _by_group(
    subject: AnalysisContext,
    settings: Settings,
    groups: Groups,
    outcomes: Outcomes,
    predictions: Predictions,
    gaps: list[Gap],
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
    label = next((gap.at[0] for gap in gaps if gap.at[0]), outcomes.names[-1])
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


def _share(subject: AnalysisContext, hits: np.ndarray, fewest: int) -> Cell:
    if len(hits) < fewest:
        return f"too few rows ({len(hits)})"
    return bounded(float(hits.mean()), *exact_interval(int(hits.sum()), len(hits), subject.confidence))


def _own_error(subject: AnalysisContext, shares: np.ndarray, own: np.ndarray, fewest: int) -> Cell:
    n = int(own.sum())
    if n < fewest:
        return f"too few rows ({n})"
    statistic = calibration_error(subject.rows["test"].targets[own], shares[own], min(BINS, max(2, n // fewest)))
    found = bootstrapped("calibration_error", n, statistic, subject)
    return bounded(found.value, found.low, found.high)
