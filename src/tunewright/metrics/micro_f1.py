"""F1 score over all decisions pooled; for one class per row it equals accuracy."""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, ratio

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("classes", "sets")
of_sums = ratio


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """Twice the hits of each row, and what was wanted and given together, (n, 2)."""
    wanted, given = (side if side.ndim == 2 else np.ones((len(side), 1)) for side in (targets, predicted))
    hits = targets * predicted if targets.ndim == 2 else (targets == predicted)[:, None]
    return np.stack([2.0 * hits.sum(1), wanted.sum(1) + given.sum(1)], axis=1)


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers (n,) or 0/1 decisions (n, classes), for both."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
