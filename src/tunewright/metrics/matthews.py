"""Matthews correlation: agreement beyond chance, from -1 to 1.

Source: Matthews 1975; the metric of CoLA in GLUE. Undefined when targets or predictions are all of one class.
"""

from __future__ import annotations

import numpy as np
from sklearn.metrics import matthews_corrcoef

from tunewright.core.types import Labels

UNIT = ""
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("classes",)


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers (n,) against class numbers (n,)."""
    if len(np.unique(targets)) < 2 or len(np.unique(predicted)) < 2:
        return None
    return float(matthews_corrcoef(targets, predicted))
