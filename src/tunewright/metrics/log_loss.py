"""Mean negative log probability of what is right, in nats: punishes confident mistakes.

For several labels the mean over all decisions.
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels

UNIT = "nats"
HIGHER_IS_BETTER = False
NEEDS = "probabilities"


def rows(targets: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Negative log probability of what is right, (n,); the metric is their mean."""
    safe = np.clip(predicted.astype(np.float64), 1e-15, 1 - 1e-15)
    if targets.ndim == 2:
        decisions: np.ndarray = -(targets * np.log(safe) + (1 - targets) * np.log(1 - safe)).mean(1)
        return decisions
    chosen: np.ndarray = -np.log(safe[np.arange(len(targets)), targets])
    return chosen


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers (n,) or 0/1 decisions (n, classes), against probabilities (n, classes)."""
    return float(rows(targets, predicted).mean()) if len(targets) else None
