"""Agreement beyond chance on ordered classes; a miss costs the square of its distance, from -1 to 1.

Source: Cohen 1968. Undefined where all targets and predictions are of one class.
When: grades and other classes whose numbers are in their order. When not: classes without order (matthews).
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, divide

UNIT = ""
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("classes",)


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """Squared distance, right number, predicted number, sum of their squares, and 1, for each row, (n, 5)."""
    wanted, given = targets.astype(np.float64), predicted.astype(np.float64)
    return np.stack([(wanted - given) ** 2, wanted, given, wanted**2 + given**2, np.ones(len(wanted))], axis=1)


def of_sums(sums: np.ndarray, labels: Labels) -> np.ndarray:
    """1 less the squared distance over that of right and predicted classes paired at random."""
    distance, wanted, given, squares, rows = np.moveaxis(sums, -1, 0)
    by_chance = rows * squares - 2 * wanted * given  # times the rows, so that it stays a whole number
    return 1 - divide(rows * distance, by_chance)


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers (n,) against class numbers (n,)."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
