"""Mean over classes of the F1 score: every class counts the same.

Classes that occur neither in the targets nor in the predictions are left out instead of counting as 0 or 1.
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._counts import f1_by_class

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("classes", "sets")


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers (n,) or 0/1 decisions (n, classes), for both."""
    if not len(targets):
        return None
    scores, _ = f1_by_class(targets, predicted)
    return float(scores.mean()) if len(scores) else None
