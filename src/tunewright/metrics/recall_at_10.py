"""Share of rows whose first right item is among the first ten.

With one right item per row it is recall; with several, the share of rows where at least one was found.
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, mean_over_rows, ratio

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("ranks",)
SHARE_OF_ROWS = True
of_sums = ratio


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """1 where it is and its weight, (n, 2)."""
    return mean_over_rows((predicted >= 1) & (predicted <= 10))


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Rank of the first right item of each row, (n,), from 1, 0 where none was found; the targets are not used."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
