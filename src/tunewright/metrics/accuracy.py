"""Share of rows whose predicted class is the right one.

When: balanced classes. When not: rare classes matter (balanced_accuracy, macro_f1).
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, mean_over_rows, ratio

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("classes",)
SHARE_OF_ROWS = True
of_sums = ratio


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """1 where the class is right and its weight, (n, 2)."""
    return mean_over_rows(targets == predicted)


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers (n,) against class numbers (n,)."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
