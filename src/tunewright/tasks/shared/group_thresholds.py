"""One threshold for each group: groups are given a class alike, or alike where they deserve it; fitted on the validation rows.

Source: Hardt, Price and Srebro 2016, Equality of Opportunity in Supervised Learning, section 4: thresholds by group after
training, here one each and nothing at random, so that a row's answer is always the same; equalised odds cannot be had that way.
When: the group may be known and used when deciding. When not: deciding by group is forbidden, as it often is in employment,
credit and housing; a group has few validation rows, whose threshold is then chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tunewright.core.errors import UserError
from tunewright.core.types import GroupThresholds, Predictions
from tunewright.datasets.columns import find
from tunewright.datasets.groups import Groups, placed
from tunewright.datasets.table import Table, listed

Parity = Literal["demographic_parity", "equal_opportunity"]
PARITIES: tuple[Parity, ...] = ("demographic_parity", "equal_opportunity")

FEWEST = 10  # validation rows of each class that a group must have to get a threshold of its own (a guess)


@dataclass(frozen=True)
class _Cuts:
    """Every threshold of one group: the share that is given the class (ascending), rows told rightly, and where it lies."""

    rates: np.ndarray
    right: np.ndarray
    thresholds: np.ndarray


def fitted(shares: np.ndarray, wanted: np.ndarray, places: np.ndarray, groups: int, parity: Parity) -> dict[int, float]:
    """The most accurate thresholds (one for each group) under which all groups are given the class at one rate.

    ``shares`` (n,): probabilities of the class; ``wanted`` (n,) whether it is right; ``places`` (n,) of the rows' groups. Of
    equal_opportunity the rate is that of rows that have the class. Groups of fewer than ``FEWEST`` rows of a class are left out.
    """
    own = [places == group for group in range(groups)]
    told = [group for group, rows in enumerate(own) if min(wanted[rows].sum(), (~wanted[rows]).sum()) >= FEWEST]
    if not told:
        return {}
    cuts = [_cuts(shares[own[group]].astype(np.float64), wanted[own[group]], parity) for group in told]
    targets = np.unique(np.concatenate([one.rates for one in cuts]))
    nearest = [_nearest(one.rates, targets) for one in cuts]
    right = np.sum([one.right[at] for one, at in zip(cuts, nearest, strict=True)], 0)
    rates = np.stack([one.rates[at] for one, at in zip(cuts, nearest, strict=True)])
    best = int(np.lexsort((np.ptp(rates, axis=0), -right))[0])
    return {group: float(one.thresholds[at[best]]) for group, one, at in zip(told, cuts, nearest, strict=True)}


def _cuts(shares: np.ndarray, wanted: np.ndarray, parity: Parity) -> _Cuts:
    """Half-way between two probabilities that follow each other; rows of one probability are never parted."""
    order = np.argsort(-shares, kind="stable")
    ordered, hits = shares[order], np.append(0, np.cumsum(wanted[order]))
    ends = np.append(0, np.flatnonzero(np.append(ordered[:-1] > ordered[1:], True)) + 1)  # rows that are given the class
    thresholds = (np.append(1.0, ordered)[ends] + np.append(ordered, 0.0)[ends]) / 2
    right = 2 * hits[ends] - ends + (~wanted).sum()
    rates = ends / len(shares) if parity == "demographic_parity" else hits[ends] / hits[-1]
    kept = np.lexsort((right, rates))  # of one rate the most accurate is the last
    last = np.append(rates[kept][1:] > rates[kept][:-1], True)
    return _Cuts(rates[kept][last], right[kept][last], thresholds[kept][last])


def _nearest(rates: np.ndarray, targets: np.ndarray) -> np.ndarray:
    above = np.searchsorted(rates, targets).clip(1, len(rates) - 1)
    found: np.ndarray = np.where(targets - rates[above - 1] <= rates[above] - targets, above - 1, above)
    return found


def kept(groups: Groups, given: int, thresholds: dict[int, float]) -> GroupThresholds:
    """What a model keeps; groups that the validation rows do not tell take one half."""
    if not thresholds:
        raise UserError(
            f"no group of '{groups.column}' has {FEWEST} validation rows of each class, which its threshold needs",
            expected="larger groups",
            try_="a larger data.validation_size, or head.thresholds_by left out",
        )
    each = tuple(thresholds.get(place, 0.5) for place in range(len(groups.names)))
    return GroupThresholds(groups.column, given, groups.names, each, groups.edges)


def places_of(table: Table, groups: GroupThresholds) -> np.ndarray:
    """The group of each row, (n,); a column that is missing, or a group that was never seen, is a ``UserError``."""
    try:
        column = find(table, groups.column, "column")[0]
    except UserError:
        raise UserError(
            f"the model decides by the group of each row, and {table.source} has no column '{groups.column}'",
            expected=f"rows with the columns that the model reads and '{groups.column}': {listed(groups.names, shown=12)}",
            try_=f"add the column '{groups.column}'; a model that needs none is tuned without head.thresholds_by",
        ) from None
    cells = table.columns[column]
    places = placed(cells, groups.names, groups.edges)
    if (places < 0).any():
        wrong = np.flatnonzero(places < 0).tolist()
        raise UserError(
            f"{table.where(wrong)}: the group {cells[wrong[0]]!r} of '{groups.column}' has no threshold: the model never saw it",
            expected=f"one of {listed(groups.names, shown=12)}",
        )
    return places


def decided_by(predictions: Predictions, places: np.ndarray, groups: GroupThresholds) -> Predictions:
    """The same probabilities, with the class that each row's group threshold gives."""
    assert predictions.probabilities is not None
    given = predictions.probabilities[:, groups.given] > np.array(groups.thresholds)[places]
    return Predictions(np.where(given, groups.given, 1 - groups.given), predictions.probabilities)


def said_of(groups: GroupThresholds, names: tuple[str, ...]) -> str:
    """What decides, for whoever uses the model."""
    each = ", ".join(f"{at:.3f} for {name!r}" for name, at in zip(groups.names, groups.thresholds, strict=True))
    return (
        f"The group in '{groups.column}' decides with the probability: {names[groups.given]!r} is given above {each}. "
        "Whether a group may decide is a question of law."
    )
