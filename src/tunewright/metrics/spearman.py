"""Spearman correlation: how alike the order of predicted and right numbers is.

Undefined when either side is constant, up to rounding.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import spearmanr

from tunewright.core.types import Labels

UNIT = ""
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("numbers",)


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Numbers (n,) against numbers (n,)."""
    if len(targets) < 2 or any(np.ptp(side) <= 1e-6 * np.abs(side).max() for side in (targets, predicted)):
        return None
    return float(spearmanr(targets.astype(np.float64), predicted.astype(np.float64)).statistic)
