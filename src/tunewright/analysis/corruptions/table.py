"""Cells that are missing completely at random.

Source: Rubin 1976, Inference and Missing Data, for the kind of missing; the shares are a guess.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

Change = Callable[[tuple[Any, ...], np.random.Generator], tuple[Any, ...]]


def changes() -> dict[str, Change]:
    """By their names: each cell is empty with a probability of its own."""
    return {f"{share:.0%} of cells missing": partial(_emptied, share) for share in (0.1, 0.3, 0.5)}


def _emptied(share: float, row: tuple[Any, ...], generator: np.random.Generator) -> tuple[Any, ...]:
    return tuple(None if lost else cell for cell, lost in zip(row, generator.random(len(row)) < share, strict=True))
