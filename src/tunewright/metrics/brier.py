"""Mean squared distance between the probabilities and what happened.

Source: Brier 1950; summed over the classes, from 0 to 2.
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels

UNIT = ""
HIGHER_IS_BETTER = False
NEEDS = "probabilities"


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers (n,) or 0/1 (n, classes), against probabilities (n, classes)."""
    if not len(targets):
        return None

    wanted = targets if targets.ndim == 2 else np.eye(predicted.shape[1])[targets]
    return float(np.square(wanted - predicted).sum(1).mean())
