"""Pixels common to what is wanted and given of a class, over pixels of either; mean over the classes that occur.

Source: Everingham et al. 2015 (Pascal VOC), pooled over all images. Classes on neither side are left out.
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, divide

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("confusions",)


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """Pixels of each image that both sides give a class, then that either does, (n, 2 C)."""
    both = np.diagonal(predicted, axis1=1, axis2=2).astype(np.float64)
    return np.concatenate([both, predicted.sum(1) + predicted.sum(2) - both], axis=1)


def of_sums(sums: np.ndarray, labels: Labels) -> np.ndarray:
    """Mean of their ratio over the classes that occur."""
    both, either = np.split(sums, 2, axis=-1)
    occurring = (either > 0).sum(-1).astype(np.float64)
    return divide(np.nan_to_num(divide(both, either)).sum(-1), occurring)


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Pixels of each image by right class and predicted class, (n, C, C); the targets are not used."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
