"""Share of pairs in which the chosen answer is rewarded more than the rejected one; equal rewards are wrong."""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, mean_over_rows, ratio

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("margins",)
SHARE_OF_ROWS = True
of_sums = ratio


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """1 where the chosen answer is ahead and its weight, (n, 2)."""
    return mean_over_rows(predicted > 0)


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Reward of the chosen answer less that of the rejected one, (n,); the targets are not used."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
