"""Hits, targets and predictions of each class: what precision, recall and F1 are made of."""

from __future__ import annotations

import numpy as np


def class_counts(targets: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For class numbers (n,) or 0/1 decisions (n, classes): hits, rows of the class, rows given it, each (classes,)."""
    if targets.ndim == 2:
        return (targets * predicted).sum(0), targets.sum(0), predicted.sum(0)
    classes = int(max(targets.max(), predicted.max())) + 1
    hits = np.bincount(targets[targets == predicted], minlength=classes)
    return hits, np.bincount(targets, minlength=classes), np.bincount(predicted, minlength=classes)


def f1_by_class(targets: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """F1 and number of rows of each class that occurs in the targets or the predictions."""
    hits, wanted, given = class_counts(targets, predicted)
    present = (wanted + given) > 0
    return 2 * hits[present] / (wanted + given)[present], wanted[present]
