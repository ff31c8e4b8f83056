"""No targets: what is learned is in the inputs themselves, as in a text's own next words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets.labels import Where
from tunewright.datasets.schema import Schema
from tunewright.datasets.table import Table


def read(table: Table, schema: Schema) -> list[None]:
    """Nothing for each row."""
    return [None] * len(table)


def faults(values: Sequence[Any], task: str, where: Where) -> list[UserError]:
    """Nothing can be wrong with nothing."""
    return []


def labels(values: Sequence[Any], task: str, names: Sequence[str]) -> Labels:
    """The task alone."""
    return Labels(task)


def encode(values: Sequence[Any], labels: Labels, where: Where) -> np.ndarray:
    """(n,) of None."""
    return object_array(values)
