"""Share of rows whose right class is among the three most probable.

Undefined with three classes or fewer, where it would always be 1.
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "probabilities"


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers (n,) against probabilities (n, classes)."""
    if not len(targets):
        return None

    if predicted.shape[1] <= 3:
        return None
    top = np.argpartition(-predicted, 3, axis=1)[:, :3]
    return float((top == targets[:, None]).any(1).mean())
