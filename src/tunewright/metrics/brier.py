"""Mean squared distance between the probabilities and what happened.

Source: Brier 1950; summed over the classes, from 0 to 2.
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, mean_over_rows, ratio

UNIT = ""
HIGHER_IS_BETTER = False
NEEDS = "probabilities"
READS = ("classes", "sets")
of_sums = ratio


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """Squared distance of each row, summed over the classes and its weight, (n, 2)."""
    wanted = targets if targets.ndim == 2 else np.eye(predicted.shape[1])[targets]
    return mean_over_rows(np.square(wanted - predicted.astype(np.float64)).sum(1))


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers (n,) or 0/1 decisions (n, classes), against probabilities (n, classes)."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
