"""From an Arrow table to ours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tunewright.core.errors import UserError
from tunewright.datasets.table import Table


def plain(value: Any) -> Any:
    """A Python value for numpy's scalars; None for the many spellings of 'missing' (NaN, NaT, NA)."""
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        value = value.item()
    if value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value):
        return None
    return value


def _class_name(value: Any, names: Sequence[str]) -> Any:
    """The name of a class number, the names of a list of them, None for no class (-1)."""
    if isinstance(value, list):
        return [_class_name(item, names) for item in value]
    return None if value is None or value < 0 else names[value]


def from_arrow(table: Any, source: str, class_names: Mapping[str, Sequence[str]] | None = None) -> Table:
    """``class_names`` gives columns that store a class as a number (-1: none) back their names."""
    doubled = [name for name, count in Counter(table.column_names).items() if count > 1]
    if doubled:
        raise UserError(f"{source}: the name '{doubled[0]}' stands for more than one column", try_="rename one of them")
    if not table.num_rows:
        raise UserError(f"{source} has no rows", expected="at least one row")
    columns = {name: [plain(value) for value in table.column(name).to_pylist()] for name in table.column_names}
    for name, names in (class_names or {}).items():
        columns[name] = [_class_name(value, names) for value in columns[name]]
    return Table(columns, tuple(range(1, table.num_rows + 1)), source, "row")
