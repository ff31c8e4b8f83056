"""Share of rows whose whole set of labels is right."""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, mean_over_rows, ratio

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("sets",)
SHARE_OF_ROWS = True
of_sums = ratio


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """1 where the whole set is right and its weight, (n, 2)."""
    return mean_over_rows((targets == predicted).all(1))


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """0/1 decisions (n, classes) against 0/1 decisions (n, classes)."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
