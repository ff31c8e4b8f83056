"""Share of single label decisions that are wrong."""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels

UNIT = "share"
HIGHER_IS_BETTER = False
NEEDS = "values"


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """0/1 decisions (n, classes) against 0/1 decisions (n, classes)."""
    if not len(targets):
        return None
    return float((targets != predicted).mean())
