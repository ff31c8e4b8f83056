"""Mean distance between predicted and right number, in the target's units."""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels

UNIT = ""
HIGHER_IS_BETTER = False
NEEDS = "values"


def rows(targets: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Distance of each row, (n,); the metric is their mean."""
    distance: np.ndarray = np.abs(targets - predicted)
    return distance


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Numbers (n,) against numbers (n,)."""
    return float(rows(targets, predicted).mean()) if len(targets) else None
