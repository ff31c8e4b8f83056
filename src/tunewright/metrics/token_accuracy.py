"""Share of words whose tag is right.

When: parts of speech. When not: entities (entity_f1), where most words are outside of any.
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, ratio

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("tags",)
of_sums = ratio


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """Right words and words of each row, (n, 2)."""
    counts = [(np.equal(wanted, given).sum(), len(wanted)) for wanted, given in zip(targets, predicted, strict=True)]
    return np.array(counts, dtype=np.float64).reshape(-1, 2)


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Tag numbers (words,) of each row, for both; ``labels.names`` are the tags."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
