"""Mean negative log probability of what is right, in nats: punishes confident mistakes.

For several labels the mean over all decisions.
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels

UNIT = "nats"
HIGHER_IS_BETTER = False
NEEDS = "probabilities"


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers (n,) or 0/1 (n, classes), against probabilities (n, classes)."""
    if not len(targets):
        return None

    safe = np.clip(predicted.astype(np.float64), 1e-15, 1 - 1e-15)
    if targets.ndim == 2:
        return float(-(targets * np.log(safe) + (1 - targets) * np.log(1 - safe)).mean())
    return float(-np.log(safe[np.arange(len(targets)), targets]).mean())
