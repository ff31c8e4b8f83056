"""Mean over rows of the F1 score of an answer's words against the right answer that it is most like.

Source: Rajpurkar et al. 2016, section 6.1; no answer is the empty text, right or wrong as a whole
(Rajpurkar et al. 2018).
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._answers import normalized, right_answers
from tunewright.metrics._sums import defined, mean_over_rows, ratio

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("texts",)
of_sums = ratio


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """F1 of each row and its weight, (n, 2)."""
    pairs = [(right_answers(gold), normalized(given)) for gold, given in zip(targets, predicted, strict=True)]
    return mean_over_rows(np.array([max(_f1(right, given) for right in gold) for gold, given in pairs]))


def _f1(right: str, given: str) -> float:
    wanted, found = right.split(), given.split()
    if not wanted or not found:
        return float(wanted == found)
    return 2 * (Counter(wanted) & Counter(found)).total() / (len(wanted) + len(found))


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Right texts of each row, against one text per row."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
