"""Root of the mean squared distance, in the target's units: large errors weigh more."""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels

UNIT = ""
HIGHER_IS_BETTER = False
NEEDS = "values"


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Numbers (n,) against numbers (n,)."""
    if not len(targets):
        return None
    return float(np.sqrt(np.square(targets - predicted).mean()))
