"""Share of single label decisions that are wrong."""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, mean_over_rows, ratio

UNIT = "share"
HIGHER_IS_BETTER = False
NEEDS = "values"
READS = ("sets",)
of_sums = ratio


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """Share of a row's decisions that are wrong and its weight, (n, 2)."""
    return mean_over_rows((targets != predicted).mean(1))


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """0/1 decisions (n, classes) against 0/1 decisions (n, classes)."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
