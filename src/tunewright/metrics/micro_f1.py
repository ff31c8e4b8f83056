"""F1 score over all decisions pooled; for one class per row it equals accuracy."""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._counts import class_counts

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers (n,) or 0/1 decisions (n, classes), for both."""
    if not len(targets):
        return None
    hits, wanted, given = (counts.sum() for counts in class_counts(targets, predicted))
    return float(2 * hits / (wanted + given)) if wanted + given else None
