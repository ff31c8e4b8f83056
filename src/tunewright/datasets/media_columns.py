"""Which column of a table holds pictures or sounds: one that is named, or the only one whose name and cells say so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tunewright.datasets import columns as look
from tunewright.datasets.table import Table


def media_column(
    table: Table,
    named: Mapping[str, Any],
    kind: str,
    names: frozenset[str],
    holds: Callable[[Any], bool],
    others: frozenset[str] = frozenset(),
) -> str | None:
    """The column whose cells ``holds`` accepts; None where there is none, or where a column of texts stands beside it.

    What the user named, or a kind that the user named, is taken at its word; otherwise the column's name is one of ``names``, or
    it is the only one with such cells. ``others`` are names of columns that hold such cells for another purpose.
    """
    asked = tuple(named.get("text") or ())
    if asked:
        taken = len(asked) == 1 and (named.get("kind") == kind or _all(table.columns[asked[0]], holds))
        return asked[0] if taken else None
    if named.get("kind") != kind and look.named(table.columns, look.TEXT_NAMES):
        return None
    taken_by_others = {*(named.get("target") or ()), *(named.get("side") or ())}
    found = [name for name, cells in table.columns.items() if name not in taken_by_others and _all(cells, holds)]
    found = [name for name in found if look.folded(name) not in others]
    by_name = [name for name in found if look.folded(name) in names]
    if len(by_name) > 1:
        raise look.ambiguous(table, kind, by_name, "text")
    return by_name[0] if by_name else found[0] if len(found) == 1 else None


def _all(cells: list[Any], holds: Callable[[Any], bool]) -> bool:
    """Whether every cell that is not empty is accepted, and there is one."""
    filled = [cell for cell in cells if not (cell is None or (isinstance(cell, str) and not cell.strip()))]
    return bool(filled) and all(map(holds, filled))
