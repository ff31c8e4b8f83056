"""The majority baseline: what one gets without reading the text."""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels, Predictions


def majority(train_targets: np.ndarray, n: int, labels: Labels) -> Predictions:
    """The most frequent class, each label by its own majority, or the mean; with the training shares as probabilities."""
    if labels.task in ("regression", "similarity"):
        return Predictions(np.full(n, train_targets.mean()), None)
    if labels.task == "multi_label":
        share = train_targets.mean(0)
        return Predictions(np.tile((share > 0.5).astype(np.int64), (n, 1)), np.tile(share, (n, 1)))
    share = np.bincount(train_targets, minlength=labels.outputs) / len(train_targets)
    return Predictions(np.full(n, share.argmax()), np.tile(share, (n, 1)))
