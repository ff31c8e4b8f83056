"""Mean over classes of the F1 score, weighed by their number of rows."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import f1_score

from tunewright.core.types import Labels

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers (n,) or 0/1 decisions (n, classes)."""
    if not len(targets):
        return None

    if targets.ndim == 2 and not (targets.any() or predicted.any()):
        return None
    present = np.flatnonzero(targets.any(0) | predicted.any(0)) if targets.ndim == 2 else np.union1d(targets, predicted)
    return float(f1_score(targets, predicted, labels=present, average="weighted", zero_division=0.0))
