"""Share of the targets' variance that is explained; below 0 is worse than their mean.

Undefined when all targets are equal.
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("numbers",)


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Numbers (n,) against numbers (n,)."""
    if not len(targets) or np.ptp(targets) == 0:  # not by their squares' sum, which rounding keeps from 0
        return None
    return float(1 - np.square(targets - predicted).sum() / np.square(targets - targets.mean()).sum())
