"""Who took what: pairs of a user and an item, their histories, and splits that keep the future out of the past.

Source: implicit feedback: Hu, Koren and Volinsky 2008, section 3; leave-last-out: He et al. 2017, section 4.1.
When: recommendation from logs of views, purchases or ratings. When not: a score for a given pair, which is regression on a table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from tunewright.core.errors import UserError, gathering, raise_all
from tunewright.core.types import Finding
from tunewright.data.labels import is_empty
from tunewright.data.numbers import as_number
from tunewright.data.table import Table
from tunewright.data.times import as_times

UNKNOWN = 0  # the place of a user or item that training never saw


@dataclass(frozen=True)
class Interactions:
    """n pairs, each once: ``users`` and ``items`` (n,) int64 places from 1 on, ``times`` (n,) float64 or None.

    ``user_names[place - 1]`` is the user of a place; so for items. Place 0 is nobody and nothing known.
    """

    users: np.ndarray
    items: np.ndarray
    times: np.ndarray | None
    user_names: tuple[str, ...]
    item_names: tuple[str, ...]
    findings: tuple[Finding, ...] = ()

    def __len__(self) -> int:
        return len(self.users)

    def subset(self, rows: np.ndarray) -> Interactions:
        """Some pairs, in the order given, with the places of all."""
        times = None if self.times is None else self.times[rows]
        return replace(self, users=self.users[rows], items=self.items[rows], times=times, findings=())

    @cached_property
    def popularity(self) -> np.ndarray:
        """How often each place's item was taken, (1 + items,) int64."""
        return np.bincount(self.items, minlength=len(self.item_names) + 1)


@dataclass(frozen=True)
class Histories:
    """What each user took, behind one another, oldest first where times are known: ``items[starts[u] : starts[u + 1]]``."""

    items: np.ndarray
    starts: np.ndarray  # (users + 2,)

    def of(self, user: int) -> np.ndarray:
        """Places of one user's items; none for a user that is not known."""
        found: np.ndarray = self.items[self.starts[user] : self.starts[user + 1]]
        return found

    def bags(self, users: np.ndarray, without: np.ndarray | None = None, longest: int = 100) -> tuple[np.ndarray, np.ndarray]:
        """The histories of some users behind one another, (all,) int64, and where each begins, (batch,) int64.

        ``without`` (batch,) names an item to leave out of each: the one that is to be guessed. Of long histories the last
        ``longest`` items stay.
        """
        parts = [self.of(user) for user in users]
        if without is not None:
            parts = [part[part != item] for part, item in zip(parts, without, strict=True)]
        parts = [part[-longest:] for part in parts]
        sizes = np.array([len(part) for part in parts], dtype=np.int64)
        together = np.concatenate(parts) if parts else np.empty(0, np.int64)
        return together.astype(np.int64), np.cumsum(sizes) - sizes


def read_interactions(
    table: Table,
    user: str,
    item: str,
    *,
    rating: str | None = None,
    least: float | None = None,
    time: str | None = None,
    catalogue: Iterable[Any] = (),
) -> Interactions:
    """The pairs of a table; with ``rating`` only those of at least ``least``. A pair that comes again counts once, the last.

    Users and items of rows that are left out keep their places, and so do the items of ``catalogue`` that nobody took. Raises
    UserError for empty users and items, ratings that are no numbers, moments that are none; all faults are told together.
    """
    faults: list[UserError] = []
    names: dict[str, list[str]] = {}
    values = np.zeros(len(table))
    times: np.ndarray | None = None
    for column in (user, item):
        with gathering(faults):
            names[column] = _names(table, column)
    if (rating is None) != (least is None):
        faults.append(UserError("a rating column and the least rating that counts go together", expected="both or neither"))
    elif rating is not None:
        with gathering(faults):
            values = _ratings(table, rating)
    if time is not None:
        with gathering(faults):
            times = as_times(table.column(time), time, table.where)
    raise_all(faults)
    user_names = tuple(sorted(set(names[user])))
    item_names = tuple(sorted({*names[item], *(_name(one) for one in catalogue)}))
    user_place = {name: place for place, name in enumerate(user_names, 1)}
    item_place = {name: place for place, name in enumerate(item_names, 1)}
    users = np.array([user_place[name] for name in names[user]], dtype=np.int64)
    items = np.array([item_place[name] for name in names[item]], dtype=np.int64)
    kept = np.flatnonzero(values >= least) if least is not None else np.arange(len(table))
    order = kept if times is None else kept[np.argsort(times[kept], kind="stable")]
    last = {(users[row], items[row]): row for row in order}
    rows = np.array(sorted(last.values()), dtype=np.int64)
    if not len(rows):
        raise UserError(f"{table.source} has no interaction that counts", expected="rows, and a least rating that some reach")
    again = len(kept) - len(rows)
    message = f"{table.source}: {again} rows repeat a pair of user and item; each counts once"
    findings = (Finding("repeated_pairs", message, count=again),) if again else ()
    return Interactions(users[rows], items[rows], None if times is None else times[rows], user_names, item_names, findings)


def histories(interactions: Interactions) -> Histories:
    """Each user's items, oldest first; without times in the order of the rows."""
    keys = (interactions.users,) if interactions.times is None else (interactions.times, interactions.users)
    order = np.lexsort(keys)
    counts = np.bincount(interactions.users, minlength=len(interactions.user_names) + 1)
    return Histories(interactions.items[order], np.concatenate([[0], np.cumsum(counts)]))


def leave_last_out(interactions: Interactions) -> tuple[Interactions, Interactions]:
    """Train and test: each user's last item is test; users with one item stay in train. Needs times."""
    if interactions.times is None:
        raise UserError("the last item of each user cannot be told without times", expected="a time column")
    order = np.lexsort((interactions.times, interactions.users))
    users = interactions.users[order]
    last = np.append(users[1:] != users[:-1], True)
    alone = np.append(True, users[1:] != users[:-1]) & last
    return interactions.subset(np.sort(order[~last | alone])), interactions.subset(np.sort(order[last & ~alone]))


def split_by_pairs(interactions: Interactions, test: Collection[tuple[str, str]]) -> tuple[Interactions, Interactions]:
    """Train and test where the pairs (user, item) of test are given by name, as published splits are."""
    wanted = set(test)
    names = zip(interactions.users.tolist(), interactions.items.tolist(), strict=True)
    held = np.array([(interactions.user_names[u - 1], interactions.item_names[i - 1]) in wanted for u, i in names], dtype=bool)
    return interactions.subset(np.flatnonzero(~held)), interactions.subset(np.flatnonzero(held))


def label_matrix(names: Sequence[str], values: dict[str, Collection[str]]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Features of items that have several labels each (genres): (1 + items, labels) float32 of 0 and 1, and the labels."""
    labels = tuple(sorted({label for found in values.values() for label in found}))
    position = {label: place for place, label in enumerate(labels)}
    matrix = np.zeros((len(names) + 1, len(labels)), dtype=np.float32)
    for place, name in enumerate(names, 1):
        matrix[place, [position[label] for label in values.get(name, ())]] = 1.0
    return matrix, labels


def _name(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _names(table: Table, column: str) -> list[str]:
    cells = table.column(column)
    wrong = [index for index, cell in enumerate(cells) if is_empty(cell) or isinstance(cell, list | tuple | dict)]
    if wrong:
        raise UserError(f"{table.where(wrong)}: '{column}' is {cells[wrong[0]]!r}", expected="a name or number in every row")
    return [_name(cell) for cell in cells]


def _ratings(table: Table, column: str) -> np.ndarray:
    cells = table.column(column)
    found = [as_number(cell) for cell in cells]
    wrong = [index for index, number in enumerate(found) if number is None]
    if wrong:
        raise UserError(f"{table.where(wrong)}: the rating {cells[wrong[0]]!r} is not a number", expected="a number in every row")
    return np.array(found, dtype=np.float64)
