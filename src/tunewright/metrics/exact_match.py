"""Share of rows whose answer equals one of the right ones, but for case, punctuation and articles.

Source: Rajpurkar et al. 2016, section 6.1; no answer is the empty text (Rajpurkar et al. 2018).
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._answers import normalized, right_answers
from tunewright.metrics._sums import defined, mean_over_rows, ratio

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("texts",)
SHARE_OF_ROWS = True
of_sums = ratio


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """1 where the answer is right and its weight, (n, 2)."""
    right = [normalized(given) in right_answers(gold) for gold, given in zip(targets, predicted, strict=True)]
    return mean_over_rows(np.array(right))


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Right texts of each row, against one text per row."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
