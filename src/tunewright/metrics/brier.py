"""Mean squared distance between the probabilities and what happened.

Source: Brier 1950; summed over the classes, from 0 to 2.
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels

UNIT = ""
HIGHER_IS_BETTER = False
NEEDS = "probabilities"


def rows(targets: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Squared distance of each row, summed over the classes, (n,); the metric is their mean."""
    wanted = targets if targets.ndim == 2 else np.eye(predicted.shape[1])[targets]
    distance: np.ndarray = np.square(wanted - predicted.astype(np.float64)).sum(1)
    return distance


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers (n,) or 0/1 decisions (n, classes), against probabilities (n, classes)."""
    return float(rows(targets, predicted).mean()) if len(targets) else None
