"""What a row costs on average: nothing where its class is right, else what it costs to miss that class.

Source: Elkan 2001, The Foundations of Cost-Sensitive Learning, section 1, with costs that depend on the right class alone.
When: missing one class is worse than missing another, as in fraud. When not: costs of each row of its own.
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, mean_over_rows, ratio

UNIT = ""
HIGHER_IS_BETTER = False
NEEDS = "values"
READS = ("classes",)
of_sums = ratio


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """The cost of each row and 1, (n, 2); every cost is 1 where the labels have none."""
    costs = np.asarray(labels.costs) if labels.costs else np.ones(len(labels.names))
    return mean_over_rows(np.where(targets == predicted, 0.0, costs[targets]))


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers (n,) against class numbers (n,)."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
