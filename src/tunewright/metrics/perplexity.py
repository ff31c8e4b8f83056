"""Exponential of the mean loss per token: how many tokens the model is torn between.

Source: Jelinek et al. 1977. It depends on how the tokenizer cuts; only models of one tokenizer compare (else bits_per_byte).
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, ratio

UNIT = ""
HIGHER_IS_BETTER = False
NEEDS = "values"
READS = ("likelihoods",)


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """Loss in nats and tokens of each row, (n, 2)."""
    return predicted[:, :2].astype(np.float64)


def of_sums(sums: np.ndarray, labels: Labels) -> np.ndarray:
    """Exponential of their ratio."""
    exponential: np.ndarray = np.exp(ratio(sums, labels))
    return exponential


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Summed loss in nats, tokens and bytes of each row, (n, 3); the targets are not used."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
