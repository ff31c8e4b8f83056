"""Mean negative log probability of what is right, in nats: punishes confident mistakes.

For several labels the mean over all decisions.
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, mean_over_rows, ratio

UNIT = "nats"
HIGHER_IS_BETTER = False
NEEDS = "probabilities"
READS = ("classes", "sets")
of_sums = ratio


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """Negative log probability of what is right and its weight, (n, 2)."""
    safe = np.clip(predicted.astype(np.float64), 1e-15, 1 - 1e-15)
    if targets.ndim == 2:
        return mean_over_rows(-(targets * np.log(safe) + (1 - targets) * np.log(1 - safe)).mean(1))
    return mean_over_rows(-np.log(safe[np.arange(len(targets)), targets]))


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers (n,) or 0/1 decisions (n, classes), against probabilities (n, classes)."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
