"""Several target columns of one row: each a class or a number of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets import labels as one
from tunewright.datasets.columns import find
from tunewright.datasets.labels import Where
from tunewright.datasets.numbers import as_number
from tunewright.datasets.schema import Schema, guess_task
from tunewright.datasets.table import Table


def read(table: Table, schema: Schema) -> list[tuple[Any, ...]]:
    """The cells of each row, one for each column."""
    if len(schema.target) < 2:
        raise UserError(f"{len(schema.target)} target columns were named for several heads", expected="two or more")
    return list(zip(*(table.column(find(table, name, "target")[0]) for name in schema.target), strict=True))


def faults(values: Sequence[Any], task: str, where: Where) -> list[UserError]:
    """Rows that lack a target."""
    empty = [index for index, row in enumerate(values) if any(map(one.is_empty, row))]
    return [UserError(f"{where(empty)}: {len(empty)} rows lack a target", expected="all targets in every row")] if empty else []


def labels(values: Sequence[Any], task: str, names: Sequence[str]) -> Labels:
    """Of each column its classes, or its mean and spread; which of the two it is, its values tell."""
    parts = []
    for name, cells in zip(names, zip(*values, strict=True), strict=True):
        kind = guess_task([cells], 1)
        if kind not in ("classification", "regression"):
            raise UserError(f"the target '{name}' holds several labels in a row", expected="one class or number in each column")
        parts.append((name, one.make_labels(cells, kind)))
    return Labels(task, parts=tuple(parts))


def encode(values: Sequence[Any], labels: Labels, where: Where) -> np.ndarray:
    """Class numbers and numbers side by side, (n, columns) float64."""
    columns = []
    for (name, part), cells in zip(labels.parts, zip(*values, strict=True), strict=True):
        wrong = [index for index, cell in enumerate(cells) if part.task == "regression" and as_number(cell) is None]
        if wrong:
            raise UserError(f"{where(wrong)}: '{name}' is {cells[wrong[0]]!r}", expected="a number, as in train")
        columns.append(one.encode(cells, part, where).astype(np.float64))
    return np.stack(columns, 1)


def measured(labels: Labels, targets: np.ndarray) -> Labels:
    """Means and spreads of the rows that are trained on, (n, columns)."""
    parts = [
        (name, part if part.names else one.make_labels(targets[:, place].tolist(), part.task))
        for place, (name, part) in enumerate(labels.parts)
    ]
    return Labels(labels.task, parts=tuple(parts))
