"""Root of the mean squared distance, in the target's units: large errors weigh more."""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, mean_over_rows, ratio

UNIT = ""
HIGHER_IS_BETTER = False
NEEDS = "values"
READS = ("numbers",)


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """Squared distance of each row and its weight, (n, 2)."""
    return mean_over_rows(np.square(targets - predicted))


def of_sums(sums: np.ndarray, labels: Labels) -> np.ndarray:
    """Root of the mean."""
    root: np.ndarray = np.sqrt(ratio(sums, labels))
    return root


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Numbers (n,) against numbers (n,)."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
