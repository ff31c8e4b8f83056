"""Mean over rows of the F1 score of the longest common subsequence of words: a summary's overlap, in order.

Source: Lin 2004, section 3.1, with precision and recall weighing the same, and the best of several right texts. Words are
letters and digits of any script, in lower case, not stemmed. A text without words scores 0.
"""

from __future__ import annotations

import re

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._bits import common_length
from tunewright.metrics._sums import defined, mean_over_rows, ratio

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("texts",)
of_sums = ratio

_WORD = re.compile(r"[^\W_]+")


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """F1 of each row and its weight, (n, 2)."""
    pairs = zip(targets, predicted, strict=True)
    return mean_over_rows(np.array([max((_f1(right, given) for right in gold), default=0.0) for gold, given in pairs]))


def _f1(right: str, given: str) -> float:
    wanted, found = (_WORD.findall(text.lower()) for text in (right, given))
    return 2 * common_length(wanted, found) / (len(wanted) + len(found)) if wanted or found else 0.0


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Right texts of each row, against one text per row."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
