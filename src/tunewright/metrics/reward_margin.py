"""Mean reward of the chosen answer less that of the rejected one, in the reward's units."""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, mean_over_rows, ratio

UNIT = ""
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("margins",)
of_sums = ratio


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """Margin of each pair and its weight, (n, 2)."""
    return mean_over_rows(predicted)


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Reward of the chosen answer less that of the rejected one, (n,); the targets are not used."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
