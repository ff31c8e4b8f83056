"""Edits that turn a right text into the given one, against the right text's length."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tunewright.metrics._bits import edit_distance


def edits(targets: np.ndarray, predicted: np.ndarray, cut: Callable[[str], Sequence[str]]) -> np.ndarray:
    """Edits of each row and length of its right text, in the pieces that ``cut`` makes, (n, 2).

    Of several right texts the one with the fewest edits counts, among equals the longest; none is the empty text.
    """
    counts = np.zeros((len(targets), 2))
    for index, (gold, given) in enumerate(zip(targets, predicted, strict=True)):
        pieces = cut(given)
        found = [(edit_distance(right, pieces), -len(right)) for right in map(cut, gold or ("",))]
        counts[index] = np.abs(min(found))
    return counts
