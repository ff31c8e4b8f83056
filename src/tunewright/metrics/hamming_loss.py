"""Share of single label decisions that are wrong."""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels

UNIT = "share"
HIGHER_IS_BETTER = False
NEEDS = "values"


def rows(targets: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Share of a row's decisions that are wrong, (n,); the metric is their mean."""
    share: np.ndarray = (targets != predicted).mean(1)
    return share


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """0/1 decisions (n, classes) against 0/1 decisions (n, classes)."""
    return float(rows(targets, predicted).mean()) if len(targets) else None
