"""Mean over classes of the F1 score, weighed by their number of rows."""

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
    scores, support = f1_by_class(targets, predicted)
    return float((scores * support).sum() / support.sum()) if support.sum() else None
