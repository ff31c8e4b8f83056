"""Mean over the classes that occur of the share found.

Source: Brodersen et al. 2010. Classes without a row in the targets are left out.
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("classes",)


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers (n,) against class numbers (n,)."""
    if not len(targets):
        return None

    present = np.unique(targets)
    return float(np.mean([(predicted[targets == one] == one).mean() for one in present]))
