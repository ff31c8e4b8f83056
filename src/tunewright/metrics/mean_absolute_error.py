"""Mean distance between predicted and right number, in the target's units."""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, mean_over_rows, ratio

UNIT = ""
HIGHER_IS_BETTER = False
NEEDS = "values"
READS = ("numbers",)
of_sums = ratio


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """Distance of each row and its weight, (n, 2)."""
    return mean_over_rows(np.abs(targets - predicted))


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Numbers (n,) against numbers (n,)."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
