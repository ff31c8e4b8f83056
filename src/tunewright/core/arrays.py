"""Arrays that hold one Python object per row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


def object_array(rows: Iterable[Any]) -> np.ndarray:
    """One object per row, (n,); rows of equal length stay rows, where ``np.array`` would make a table of them."""
    held = list(rows)
    array = np.empty(len(held), dtype=object)
    for index, row in enumerate(held):
        array[index] = row
    return array
