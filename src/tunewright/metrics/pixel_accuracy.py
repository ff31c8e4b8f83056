"""Share of pixels whose class is right.

When not: large backgrounds or small objects (mean_iou).
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, ratio

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("confusions",)
of_sums = ratio


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """Right pixels and pixels of each image, (n, 2)."""
    return np.stack([np.trace(predicted, axis1=1, axis2=2), predicted.sum((1, 2))], axis=1).astype(np.float64)


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Pixels of each image by right class and predicted class, (n, C, C); the targets are not used."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
