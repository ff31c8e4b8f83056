"""Right texts of each row: one, or a list of several that are as right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets.columns import find
from tunewright.datasets.labels import Where
from tunewright.datasets.schema import Schema
from tunewright.datasets.table import Table


def read(table: Table, schema: Schema) -> list[tuple[str, ...] | None]:
    """The texts of each row; None where there is none, or where a cell holds something else."""
    if len(schema.target) > 1:
        raise UserError(f"{len(schema.target)} target columns were named for texts", expected="one column")
    cells = table.column(find(table, schema.target[0], "target")[0])
    return [_texts(cell) for cell in cells]


def _texts(cell: Any) -> tuple[str, ...] | None:
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        cell = str(cell)  # '7' in a csv of spoken digits
    several = list(cell) if isinstance(cell, (list, tuple)) else [cell]
    if not all(isinstance(text, str) for text in several):
        return None
    return tuple(text for text in several if text.strip()) or None


def faults(values: Sequence[Any], task: str, where: Where) -> list[UserError]:
    """Rows without a text."""
    empty = [index for index, value in enumerate(values) if value is None]
    return [UserError(f"{where(empty)}: {len(empty)} rows have no text as target", expected="a text in each")] if empty else []


def labels(values: Sequence[Any], task: str, names: Sequence[str]) -> Labels:
    """Of a transcription the characters that occur, for models without an alphabet; otherwise nothing."""
    found = {character for value in values for text in value for character in text} if task == "speech_recognition" else ()
    return Labels(task, tuple(sorted(found)))


def encode(values: Sequence[Any], labels: Labels, where: Where) -> np.ndarray:
    """The texts themselves, (n,) objects."""
    return object_array(values)
