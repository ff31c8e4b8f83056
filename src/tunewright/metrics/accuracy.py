"""Share of rows whose predicted class is the right one.

When: balanced classes. When not: rare classes matter (balanced_accuracy, macro_f1).
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"


def rows(targets: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """1 where the class is right, (n,); the metric is their mean."""
    right: np.ndarray = targets == predicted
    return right.astype(np.float64)


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers (n,) against class numbers (n,)."""
    return float(rows(targets, predicted).mean()) if len(targets) else None
