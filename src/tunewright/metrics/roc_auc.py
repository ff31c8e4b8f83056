"""Probability that a row of a class is ranked above a row of another, mean over classes against the rest.

Classes that have no row, or all rows, are left out; undefined when none is left.
"""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score

from tunewright.core.types import Labels

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "probabilities"
READS = ("classes", "sets")


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers (n,) or 0/1 (n, classes), against probabilities (n, classes)."""
    wanted = targets if targets.ndim == 2 else np.eye(predicted.shape[1], dtype=int)[targets]
    mixed = [one for one in range(predicted.shape[1]) if 0 < wanted[:, one].sum() < len(wanted)]
    if not mixed:
        return None
    return float(np.mean([roc_auc_score(wanted[:, one], predicted[:, one]) for one in mixed]))
