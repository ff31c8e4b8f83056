"""What thresholds by group, told by the validation rows, make of the test rows: one for each, or random mixes of two.

Source: Hardt, Price and Srebro 2016, Equality of Opportunity in Supervised Learning, section 4. Kept is one threshold for each
group (``tasks/shared/group_thresholds.py``); fairlearn's optimum mixes two at random where one alone does not meet its
constraint, and stands beside as what is possible.
"""

from __future__ import annotations

import numpy as np

from tunewright.analysis.context import AnalysisContext
from tunewright.analysis.evidence import Cell, Grid
from tunewright.analysis.group_gaps import DIFFERENCES, Outcomes, bounded, gap_of, rates_of
from tunewright.analysis.thresholds import CONSTRAINTS, by_group
from tunewright.core.errors import UserError
from tunewright.datasets.groups import Groups
from tunewright.evaluation.intervals import exact_interval
from tunewright.tasks.shared.group_thresholds import PARITIES, fitted

_HALF = "> 0.500: the validation rows do not tell"


def threshold_tables(subject: AnalysisContext, groups: Groups, outcomes: Outcomes, at: int, fewest: int) -> list[Grid]:
    """Accuracy and gaps under each way to choose thresholds, and the thresholds; class number ``at`` is given or not."""
    shares, held = subject.answers("test").probabilities, subject.answers("validation").probabilities
    if subject.task != "classification" or len(subject.labels.names) != 2 or shares is None or held is None:
        raise UserError("thresholds by group are for two classes", expected="a task of two classes", try_="thresholds=false")
    wanted, places = subject.rows["validation"].targets == at, groups.places
    ways: dict[str, tuple[np.ndarray, dict[int, str]]] = {}
    for parity in PARITIES:
        found = fitted(held[:, at], wanted, places["validation"], len(groups.names), parity)
        limits = np.array([found.get(place, 0.5) for place in range(len(groups.names))])
        said = {place: f"> {limit:.3f}" for place, limit in found.items()}
        ways[f"{parity.replace('_', ' ')}, kept"] = shares[:, at] > limits[places["test"]], said
    for constraint in CONSTRAINTS:
        ways[constraint.replace("_", " ")] = by_group(
            held[:, at], wanted, places["validation"], shares[:, at], places["test"], constraint, subject.seed
        )
    answers = {"as it is": outcomes.given[:, 0]} | {way: given for way, (given, _) in ways.items()}
    rows = [_judged(subject, groups, outcomes, way, given, fewest) for way, given in answers.items()]
    rules: list[tuple[Cell, ...]] = [
        (name, *(said.get(place, _HALF) for _, said in ways.values())) for place, name in enumerate(groups.names)
    ]
    title = f"Thresholds by {groups.column}, told by {len(wanted)} validation rows, on the test rows"
    return [
        Grid(title, ("thresholds", "accuracy", "demographic parity difference", "equalised odds difference"), rows),
        Grid(f"Probability of {outcomes.names[0]} from which it is given", (groups.column, *ways), rules),
    ]


def _judged(
    subject: AnalysisContext, groups: Groups, outcomes: Outcomes, way: str, given: np.ndarray, fewest: int
) -> tuple[Cell, ...]:
    """Accuracy and the gaps where rows are given the class so."""
    made = Outcomes(outcomes.names, given[:, None], outcomes.wanted, (given == outcomes.wanted[:, 0])[:, None])
    rates = rates_of(made, groups.inside("test"), fewest)
    accuracy = exact_interval(int(made.right.sum()), len(given), subject.confidence)
    cells: list[Cell] = [way, bounded(float(made.right.mean()), *accuracy)]
    for name in ("demographic_parity", "equalised_odds"):
        used = {part: rates[part] for part in DIFFERENCES[name] if len(rates[part].classes)}
        gap = gap_of(subject, groups, made, name, used).score if used else None
        cells.append(None if gap is None else bounded(gap.value, gap.low, gap.high))
    return tuple(cells)
