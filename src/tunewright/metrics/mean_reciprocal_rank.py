"""Mean over rows of 1 over the rank of the first right item; 0 where none was found.

Source: Voorhees 1999 (TREC-8 question answering).
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, mean_over_rows, ratio

UNIT = ""
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("ranks",)
of_sums = ratio


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """1 over the rank of each row, of ranks (n, directions) their mean, and its weight, (n, 2)."""
    each = (predicted > 0) / np.maximum(predicted, 1)
    return mean_over_rows(each if each.ndim == 1 else each.mean(1))


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Rank of the first right item of each row, (n,), from 1, 0 where none was found; the targets are not used."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
