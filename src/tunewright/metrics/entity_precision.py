"""Share of the entities given whose place and type are both right.

Source: Tjong Kim Sang and De Meulder 2003 (CoNLL's evaluation). Undefined where no entity was given.
When: tags in BIO or a relative, or types alone. When not: tags that name no phrases, such as parts of speech (token_accuracy).
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics._sums import defined, ratio
from tunewright.metrics._tags import entity_counts

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("tags",)
of_sums = ratio


def sums(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> np.ndarray:
    """Right entities of each row, and those given, (n, 2)."""
    counts = entity_counts(targets, predicted, labels)
    return counts[:, [0, 2]]


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Tag numbers (words,) of each row, for both; ``labels.names`` are the tags."""
    return defined(of_sums(sums(targets, predicted, labels).sum(0), labels))
