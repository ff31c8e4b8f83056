"""Area under the precision-recall curve, mean over classes against the rest.

When: rare classes. Classes without a row are left out.
"""

from __future__ import annotations

import numpy as np
from sklearn.metrics import average_precision_score

from tunewright.core.types import Labels

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "probabilities"
READS = ("classes", "sets")


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers (n,) or 0/1 (n, classes), against probabilities (n, classes)."""
    wanted = targets if targets.ndim == 2 else np.eye(predicted.shape[1], dtype=int)[targets]
    present = [one for one in range(predicted.shape[1]) if wanted[:, one].any()]
    if not present:
        return None
    return float(np.mean([average_precision_score(wanted[:, one], predicted[:, one]) for one in present]))
