"""How far a row's features lie from the nearest class of the training rows, in units of the spread that all classes share.

Source: Lee, Lee, Lee and Shin 2018, A Simple Unified Framework for Detecting Out-of-Distribution Samples, section 2.1; the spread
is shrunk towards a multiple of the identity: Ledoit and Wolf 2004.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_FLOOR = 1e-6  # of the mean variance, added to every direction: features may lie in a plane


def mahalanobis(features: np.ndarray, classes: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """From features (n, width) and class numbers (n,) a function of features to squared distances (m,)."""
    from sklearn.covariance import ledoit_wolf

    means = np.stack([features[classes == number].mean(0) for number in np.unique(classes)]).astype(np.float64)
    places = np.searchsorted(np.unique(classes), classes)
    spread, _ = ledoit_wolf(features - means[places], assume_centered=True)
    spread = spread + _FLOOR * max(np.trace(spread) / len(spread), 1e-12) * np.eye(len(spread))
    whiten = np.linalg.cholesky(np.linalg.inv(spread))
    centres = means @ whiten

    def distances(rows: np.ndarray) -> np.ndarray:
        found = rows.astype(np.float64) @ whiten
        squares = np.square(found).sum(1)[:, None] + np.square(centres).sum(1) - 2 * found @ centres.T
        nearest: np.ndarray = np.maximum(squares.min(1), 0)
        return nearest

    return distances
