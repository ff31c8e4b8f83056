"""Mean over several target columns of what each is told: the share of right classes, or the variance explained of a number.

Source: the coefficient of determination of a column of numbers (Wright 1921), 0 where a model is worse than the mean.
When: one number is to choose by, where columns of different kinds are learned together.
"""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels
from tunewright.metrics import accuracy, r2

UNIT = "share"
HIGHER_IS_BETTER = True
NEEDS = "values"
READS = ("columns",)


def value(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> float | None:
    """Class numbers and numbers (n, columns) against the same; undefined where a column of numbers does not vary."""
    found = []
    for place, (_, part) in enumerate(labels.parts):
        wanted, given = targets[:, place], predicted[:, place]
        if part.names:
            score = accuracy.value(wanted.astype(np.int64), given.astype(np.int64), part)
        else:
            score = r2.value(wanted, given, part)
            score = None if score is None else max(0.0, score)
        if score is None:
            return None
        found.append(score)
    return float(np.mean(found))
