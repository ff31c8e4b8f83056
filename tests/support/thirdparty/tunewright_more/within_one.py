"""Share of rows whose predicted number is at most 1 from the right one."""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels

UNIT = ""
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("numbers",)


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Numbers (n,) against numbers (n,)."""
    return float((np.abs(targets - predicted) <= 1).mean()) if len(targets) else None
