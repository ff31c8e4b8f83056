"""Sums over rows, and what is made of them."""

from __future__ import annotations

import numpy as np

from tunewright.core.types import Labels


def mean_over_rows(values: np.ndarray) -> np.ndarray:
    """Each row's value and its weight 1, (n, 2): the sums whose ratio is the mean."""
    return np.stack([values.astype(np.float64), np.ones(len(values))], axis=1)


def ratio(sums: np.ndarray, labels: Labels) -> np.ndarray:
    """The first of two sums (..., 2) over the second, nan where that is 0."""
    return divide(sums[..., 0], sums[..., 1])


def divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Quotient of two arrays of one shape, nan where the divisor is 0."""
    known = np.asarray(below != 0)
    quotient: np.ndarray = np.divide(above, below, out=np.full(known.shape, np.nan), where=known)
    return quotient


def defined(value: np.ndarray) -> float | None:
    """A single value, None where it is nan."""
    return None if np.isnan(value) else float(value)
