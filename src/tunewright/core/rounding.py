"""What rounding may leave of a difference that is none: the last bits of a sum vary with the processor and its threads.

Source: Higham 2002, Accuracy and Stability of Numerical Algorithms, sections 2.2 and 3.1 (errors of sums grow with their terms).
"""

from __future__ import annotations

import numpy as np

_STEPS = 64  # of the type's own grain: what a network of a dozen layers is off by in float32, some 1e-5 (a guess)


def grain(values: np.ndarray, least: float = 0.0) -> float:
    """The difference up to which values of this type and size count as equal; ``least``: of what size they were at least."""
    values = np.asarray(values)
    kind = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
    return _STEPS * float(np.finfo(kind).eps) * max(float(np.abs(values).max(initial=0.0)), least)


def spread_or_one(values: np.ndarray, spread: float | None = None) -> float:
    """The spread of computed values, to divide by: 1 where they differ by rounding alone; ``spread``, where it is known."""
    spread = float(values.std()) if spread is None else spread
    return spread if spread > grain(values) else 1.0


def given_spread_or_one(values: np.ndarray) -> float:
    """The spread of values that were read, not computed: 1 where all are equal, whatever their mean is rounded to."""
    return float(values.std(dtype=np.float64)) if len(values) and np.ptp(values) > 0 else 1.0
