"""How alike two sets of vectors of the same rows are: centred kernel alignment.

Source: Kornblith et al. 2019, Similarity of Neural Network Representations Revisited, section 3; without the bias that few rows
bring: Song et al. 2012, Feature Selection via Dependence Maximization, equation 5, as Nguyen, Raghu and Kornblith 2021 use it.
When: vectors of one network before and after, or of its layers. When not: fewer than some tens of rows.
"""

from __future__ import annotations

import numpy as np


def alignment(first: np.ndarray, second: np.ndarray) -> float | None:
    """Linear CKA of (n, width) and (n, other width), debiased: 1 for equal up to rotation and scale, about 0 for unrelated.

    None for fewer than 4 rows, or where one of them does not vary.
    """
    if len(first) < 4:
        return None
    a, b = (_gram(vectors) for vectors in (first, second))
    own = _dependence(a, a) * _dependence(b, b)
    return float(_dependence(a, b) / np.sqrt(own)) if own > 0 else None


def _gram(vectors: np.ndarray) -> np.ndarray:
    """Products of every two rows but a row's with itself, (n, n); a common shift of all vectors is taken out for precision."""
    centred = vectors.astype(np.float64) - vectors.mean(0, dtype=np.float64)
    products: np.ndarray = centred @ centred.T
    np.fill_diagonal(products, 0.0)
    return products


def _dependence(a: np.ndarray, b: np.ndarray) -> float:
    """The unbiased Hilbert-Schmidt independence criterion of two such matrices, times a constant of n."""
    n = len(a)
    sums = a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 * a.sum(0) @ b.sum(0) / (n - 2)
    return float((a * b).sum() + sums)
