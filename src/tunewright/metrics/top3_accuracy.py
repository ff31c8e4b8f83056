"""Share of rows whose right class is among the three most probable.

Undefined with three classes or fewer, where it would always be 1.
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, mean_over_rows, ratio

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "probabilities"
READS = ("classes",)
SHARE_OF_ROWS = True
of_sums = ratio


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """1 where the class is among the three and its weight, (n, 2)."""
    if predicted.shape[1] <= 3:
        return np.zeros((len(targets), 2))
    top = np.argpartition(-predicted, 3, axis=1)[:, :3]
    return mean_over_rows((top == targets[:, None]).any(1))


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers (n,) against probabilities (n, classes)."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
