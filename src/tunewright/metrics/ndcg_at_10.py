"""Gain of the first ten items, less for later places, against the best order possible; mean over rows.

Source: Järvelin and Kekäläinen 2002, with the relevance itself as gain and the discount log2(rank + 1), as trec_eval has it.
Rows for which nothing is relevant are left out.
When: items that are more or less relevant, or several right ones. Nearest: mean_reciprocal_rank.
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, ratio

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("relevances",)
of_sums = ratio

_DISCOUNTS = 1 / np.log2(np.arange(2, 12))


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """Gain of each row against the best, and 1; both 0 where nothing is relevant, (n, 2)."""
    counts = np.zeros((len(targets), 2))
    for index, (judged, ranked) in enumerate(zip(targets, predicted, strict=True)):
        best = _gain(np.sort(np.asarray(judged))[::-1])
        if best > 0:
            counts[index] = _gain(np.asarray(ranked)) / best, 1
    return counts


def _gain(relevances: np.ndarray) -> float:
    first = relevances[: len(_DISCOUNTS)]
    return float(first @ _DISCOUNTS[: len(first)])


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Relevances of all that was judged for each row, in any order, against those of what was returned, best first."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
