"""Insertions, deletions and replacements of words, per word of the right texts.

Source: Levenshtein 1966; Morris et al. 2004 for the rate. Above 1 where more is added than was there; undefined where the right
texts are empty. Words are what stands between spaces; case and punctuation count, so normalize both sides alike before.
When: speech and handwriting. When not: languages written without spaces (character_error_rate).
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._errors import edits
from tunewright.metrics._sums import defined, ratio

UNIT = "share"
HIGHER_IS_BETTER = False
NEEDS = "values"
READS = ("texts",)
of_sums = ratio


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """Edits of each row, and words of its right text, (n, 2)."""
    return edits(targets, predicted, str.split)


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Right texts of each row, against one text per row."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
