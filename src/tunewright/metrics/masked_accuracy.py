"""Share of the hidden tokens that a masked language model told rightly.

Source: Devlin et al. 2019, appendix C.2 (accuracy of the masked language model).
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, ratio

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("masked",)
of_sums = ratio


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """Rightly told and hidden tokens of each row, (n, 2)."""
    return predicted[:, [3, 1]].astype(np.float64)


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Summed loss, hidden tokens, bytes and rightly told tokens of each row, (n, 4); the targets are not used."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
