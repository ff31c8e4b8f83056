"""Mean gap between how sure the model was and how often it was right, over 15 bins of confidence.

Source: Guo et al. 2017, section 2, equation 3 (15 bins as there).
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels

UNIT = "share"
HIGHER_IS_BETTER = False
NEEDS = "probabilities"
READS = ("classes",)


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers (n,) against probabilities (n, classes)."""
    if not len(targets):
        return None

    sure, right = predicted.max(1), predicted.argmax(1) == targets
    bins = np.clip(np.ceil(sure * 15).astype(int) - 1, 0, 14)
    gaps = [abs(right[bins == one].mean() - sure[bins == one].mean()) * (bins == one).mean() for one in np.unique(bins)]
    return float(np.sum(gaps))
