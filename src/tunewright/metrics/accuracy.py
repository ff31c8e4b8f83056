"""Share of rows whose predicted class is the right one.

When: balanced classes. When not: rare classes matter (balanced_accuracy, macro_f1).
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers (n,) against class numbers (n,)."""
    if not len(targets):
        return None
    return float((targets == predicted).mean())
