"""Share of rows whose whole set of labels is right."""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"


def rows(targets: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """1 where the whole set is right, (n,); the metric is their mean."""
    right: np.ndarray = (targets == predicted).all(1)
    return right.astype(np.float64)


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """0/1 decisions (n, classes) against 0/1 decisions (n, classes)."""
    return float(rows(targets, predicted).mean()) if len(targets) else None
