"""chrF: F score of character n-grams over the whole corpus, recall weighing more, from 0 to 100.

Source: Popović 2015, with n-grams of 1 to 6 characters without spaces and beta 2 (Popović 2016). As sacrebleu counts: over the
orders that both sides have, and of several right texts the most alike.
When: translation, above all into languages with many word forms. Nearest: bleu.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, divide

UNIT = "of 100"
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("texts",)

_ORDERS = 6
_BETA = 2


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """N-grams given, wanted and common to both, for each order, (n, 18)."""
    counts = np.zeros((len(targets), 3 * _ORDERS))
    for index, (gold, given) in enumerate(zip(targets, predicted, strict=True)):
        found = _ngrams(given)
        choices = np.array([_counts(_ngrams(right), found) for right in gold or ("",)], dtype=np.float64)
        counts[index] = choices[int(np.argmax(_scores(choices)))]
    return counts


def of_sums(sums: np.ndarray, labels: Labels) -> np.ndarray:
    """F score of mean precision and mean recall over the orders that both sides have; undefined where nothing is wanted."""
    return np.where(sums[..., 1] > 0, _scores(sums), np.nan)


def _scores(sums: np.ndarray) -> np.ndarray:
    """F score (...) of counts (..., 18); 0 where no order is on both sides."""
    given, wanted, common = (sums[..., place::3] for place in range(3))
    both = (given > 0) & (wanted > 0)
    orders = np.maximum(both.sum(-1), 1)
    precision, recall = (np.where(both, divide(common, side), 0.0).sum(-1) / orders for side in (given, wanted))
    score = 100 * divide((1 + _BETA**2) * precision * recall, _BETA**2 * precision + recall)
    known: np.ndarray = np.nan_to_num(score)
    return known


def _ngrams(text: str) -> list[Counter[str]]:
    """How often each n-gram occurs, for each order."""
    solid = "".join(text.split())
    return [Counter(solid[start : start + order] for start in range(len(solid) - order + 1)) for order in range(1, _ORDERS + 1)]


def _counts(wanted: list[Counter[str]], given: list[Counter[str]]) -> list[int]:
    """InMemoryData, wanted and common n-grams of each order; those given count only where the order is wanted."""
    found: list[int] = []
    for right, ours in zip(wanted, given, strict=True):
        found += [ours.total() if right else 0, right.total(), (right & ours).total()]
    return found


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Right texts of each row, against one text per row."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
