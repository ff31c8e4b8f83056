"""Average precision of found boxes, mean over classes and overlaps of 0.50 to 0.95 (COCO's).

Source: Lin et al. 2014 and its evaluation: boxes of any size, at most 100 per image and class, precision at 101 recalls.
Classes without a right box are left out.
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._boxes import matches, mean_precision
from tunewright.metrics._sums import defined

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("boxes",)

_OVERLAPS = np.linspace(0.5, 0.95, 10)


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Right boxes and classes of each image, against boxes, classes and scores."""
    return defined(on_draws(targets, predicted, labels, np.ones((1, len(targets)), dtype=np.int64))[0])


def on_draws(targets: np.ndarray, predicted: np.ndarray, labels: Labels, draws: np.ndarray) -> np.ndarray:
    """The value on each resample, (r,), from how often each image was drawn (r, n): boxes are matched only once."""
    found = matches(targets, predicted, _OVERLAPS)
    return np.array([mean_precision(found, counts) for counts in draws])
