"""A label, a number, or several labels of each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets.columns import find
from tunewright.datasets.labels import encode as encode
from tunewright.datasets.labels import label_faults as faults
from tunewright.datasets.labels import make_labels
from tunewright.datasets.numbers import as_number
from tunewright.datasets.schema import Schema
from tunewright.datasets.separators import labels_of, refuse_broken
from tunewright.datasets.table import Table

__all__ = ["encode", "faults", "labels", "read"]


def labels(values: Sequence[Any], task: str, names: Sequence[str]) -> Labels:
    """Classes in their stable order, or mean and spread; several target columns are the classes themselves."""
    return make_labels(values, task, names=names if len(names) > 1 else ())


def _flags(table: Table, names: tuple[str, ...], said: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Several 0/1 columns: the names of those that are 1. ``said`` are the names as the schema has them."""
    for name in names:
        wrong = [
            i for i, cell in enumerate(table.columns[name]) if not isinstance(cell, bool) and as_number(cell) not in (0.0, 1.0)
        ]
        if wrong:
            raise UserError(
                f"{table.where(wrong)}: the target '{name}' is {table.columns[name][wrong[0]]!r}",
                expected="0 or 1 in each of several target columns",
            )
    chosen = [
        [bool(cell) if isinstance(cell, bool) else as_number(cell) == 1.0 for cell in table.columns[name]] for name in names
    ]
    return [tuple(name for name, flags in zip(said, chosen, strict=True) if flags[i]) for i in range(len(table))]


def read(table: Table, schema: Schema) -> list[Any]:
    """One value for each row; several labels of a row come as a tuple."""
    names = tuple(find(table, name, "target")[0] for name in schema.target)
    if len(names) > 1:
        if schema.task != "multi_label":
            raise UserError(
                f"{len(names)} target columns were named for {schema.task}", expected="one column, or the task multi_label"
            )
        return list(_flags(table, names, schema.target))
    cells = table.column(names[0])
    if schema.task != "multi_label":
        return list(cells)
    refuse_broken(cells, table.where)
    return [labels_of(cell, schema.separator) for cell in cells]
