"""Loss in bits per byte of UTF-8 text: what the model would compress the text to, out of 8.

Source: Gao et al. 2020 (The Pile), section 3.1. Models with different tokenizers compare.
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, ratio

UNIT = "bits"
HIGHER_IS_BETTER = False
NEEDS = "values"
READS = ("likelihoods",)
of_sums = ratio


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """Loss in bits and bytes of each row, (n, 2)."""
    bits: np.ndarray = predicted[:, [0, 2]] / np.array([np.log(2), 1.0])
    return bits


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Summed loss in nats, tokens and bytes of each row, (n, 3); the targets are not used."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
