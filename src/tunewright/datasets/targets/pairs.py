"""What belongs together: a class of each text, or the text that stands beside it in its row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets.columns import find
from tunewright.datasets.labels import Where, is_empty, label_name
from tunewright.datasets.schema import Schema
from tunewright.datasets.table import Table


def read(table: Table, schema: Schema) -> list[Any]:
    """The class of each row, or its positive as ``("…",)``."""
    if schema.target:
        return list(table.column(find(table, schema.target[0], "target")[0]))
    return [(str(cell),) for cell in table.column(find(table, schema.text[1], "text")[0])]


def faults(values: Sequence[Any], task: str, where: Where) -> list[UserError]:
    """Rows without a class, and classes of which none has two rows."""
    empty = [index for index, value in enumerate(values) if is_empty(value)]
    if empty:
        return [UserError(f"{where(empty)}: {len(empty)} rows have no class", expected="a class in every row")]
    by_class = not any(isinstance(value, tuple) for value in values)
    if by_class and len({label_name(value) for value in values}) == len(values):
        return [UserError("no class has two rows, so no text has another to lie close to", expected="several rows of a class")]
    return []


def labels(values: Sequence[Any], task: str, names: Sequence[str]) -> Labels:
    """Nothing is named: which texts belong together is told by each part itself."""
    return Labels(task)


def encode(values: Sequence[Any], labels: Labels, where: Where) -> np.ndarray:
    """Class numbers (n,), by which rows are also spread over the parts, or each row's positive, (n,) objects."""
    if values and isinstance(values[0], tuple):
        return object_array(value[0] for value in values)
    return np.unique([label_name(value) for value in values], return_inverse=True)[1].astype(np.int64)
