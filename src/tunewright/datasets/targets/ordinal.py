"""A class out of several that have an order: grades, stars, stages; numbers, in the order of their size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets.columns import find
from tunewright.datasets.labels import Where, is_empty, label_faults, label_name, label_positions, make_labels
from tunewright.datasets.numbers import as_number
from tunewright.datasets.schema import Schema
from tunewright.datasets.table import Table


def read(table: Table, schema: Schema) -> list[Any]:
    """The grade of each row."""
    if len(schema.target) > 1:
        raise UserError(f"{len(schema.target)} target columns were named for grades", expected="one column")
    return list(table.column(find(table, schema.target[0], "target")[0]))


def faults(values: Sequence[Any], task: str, where: Where) -> list[UserError]:
    """Rows without a grade, grades written in several ways, and words, whose order nobody told."""
    found = label_faults(values, "classification", where)
    words = [index for index, value in enumerate(values) if not is_empty(value) and as_number(value) is None]
    if words:
        found.append(
            UserError(
                f"{where(words)}: the grade {values[words[0]]!r} is not a number",
                expected="grades as numbers in their order, as 1 to 5",
                try_="number them, or --task classification",
            )
        )
    return found


def labels(values: Sequence[Any], task: str, names: Sequence[str]) -> Labels:
    """The grades from the lowest to the highest."""
    return Labels(task, make_labels(values, "classification").names)


def encode(values: Sequence[Any], labels: Labels, where: Where) -> np.ndarray:
    """Places in that order, (n,) int64."""
    return np.array(label_positions([(index, label_name(value)) for index, value in enumerate(values)], labels, where), np.int64)
