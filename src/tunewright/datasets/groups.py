"""Groups of rows by the cells of a column: names as they are, numbers cut into quantiles, missing cells a group of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunewright.datasets.columns import is_numeric, present
from tunewright.datasets.labels import is_empty, label_name
from tunewright.datasets.numbers import as_number

MISSING = "(missing)"


@dataclass(frozen=True)
class Groups:
    """``places`` (n,) of each part's rows among ``names``; ``said`` tells how numbers were cut, at ``edges``."""

    column: str
    names: tuple[str, ...]
    places: Mapping[str, np.ndarray]
    said: str = ""
    edges: tuple[float, ...] = ()

    def inside(self, part: str) -> np.ndarray:
        """Whether each row is in each group, (n, groups) float32."""
        found: np.ndarray = np.eye(len(self.names), dtype=np.float32)[self.places[part]]
        return found


def groups_of(column: str, parts: Mapping[str, Sequence[Any]], quantiles: int) -> Groups:
    """The same groups for the cells of every part; a column of more than twice as many numbers is cut into ``quantiles``."""
    cells = [None if is_empty(cell) else cell for part in parts.values() for cell in part]
    known = present(cells)
    said = ""
    edges: tuple[float, ...] = ()
    if known and is_numeric(known) and len({as_number(cell) for cell in known}) > 2 * quantiles:
        names, said, edges = _cut(column, [as_number(cell) for cell in cells], quantiles)
    else:
        names = [MISSING if cell is None else label_name(cell) for cell in cells]
    order = sorted(set(names), key=_start)
    places = np.array([order.index(name) for name in names], dtype=np.int64)
    ends = np.cumsum([len(part) for part in parts.values()])[:-1]
    return Groups(column, tuple(order), dict(zip(parts, np.split(places, ends), strict=True)), said, edges)


def placed(cells: Sequence[Any], names: Sequence[str], edges: Sequence[float]) -> np.ndarray:
    """The place of each cell's group among groups that other rows told, (n,); -1 where it is none of them."""
    at = {name: place for place, name in enumerate(names)}

    def place(cell: Any) -> int:
        if is_empty(cell):
            return at.get(MISSING, -1)
        if not edges:
            return at.get(label_name(cell), -1)
        number = as_number(cell)
        return -1 if number is None else int(np.searchsorted(edges, number, side="right"))  # the parts come first, by size

    return np.array([place(cell) for cell in cells], dtype=np.int64)


def _cut(column: str, numbers: Sequence[float | None], quantiles: int) -> tuple[list[str], str, tuple[float, ...]]:
    """The name of the part that each number is in, what was done in words, and where; equal numbers stay together."""
    known = np.array([number for number in numbers if number is not None])
    edges = np.unique(np.quantile(known, np.linspace(0, 1, quantiles + 1)[1:-1], method="higher"))
    edges = edges[edges > known.min()]  # no part without numbers
    part = np.searchsorted(edges, known, side="right")
    bounds = {at: f"{known[part == at].min():g} to {known[part == at].max():g}" for at in np.unique(part)}
    names = iter(bounds[at] for at in part)
    said = f"The numbers of '{column}' are cut into {len(bounds)} parts of about equally many rows: {', '.join(bounds.values())}."
    return [MISSING if number is None else next(names) for number in numbers], said, tuple(edges.tolist())


def _start(name: str) -> tuple[bool, float, str]:
    """Numbers by size, names by the alphabet, what is missing last."""
    number = as_number(name.split(" to ")[0])
    return (name == MISSING, float("inf") if number is None else number, name)
