"""How often each class comes in rows without labels, from what the model takes for what on rows with them.

Source: Lipton, Wang and Smola 2018, Detecting and Correcting for Label Shift with Black Box Predictors: the estimate section 4,
the test on predicted classes section 3. It holds where only the classes' shares differ, not how a class looks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_SMALLEST = 0.01  # singular value of the joint shares times the classes, below which they cannot be inverted (a guess)


@dataclass(frozen=True)
class Shares:
    """Of each class its share among the labeled rows, and the estimated one among the others with its interval."""

    known: np.ndarray
    estimated: np.ndarray
    low: np.ndarray
    high: np.ndarray


def same_predictions(first: np.ndarray, second: np.ndarray, classes: int, permutations: int, seed: int = 0) -> float:
    """Share of shuffles in which the classes predicted for two sets of rows differ as much (chi-squared)."""
    counts = np.stack([np.bincount(rows, minlength=classes) for rows in (first, second)])
    totals = counts.sum(0)
    expected = totals * len(first) / totals.sum()
    used = totals > 0

    def statistic(ours: np.ndarray) -> np.ndarray:
        # The other set's counts are what is left, so its part of the sum is a fixed multiple of this one.
        found: np.ndarray = (np.square(ours - expected)[..., used] / expected[used]).sum(-1)
        return found

    if not len(first) or not len(second):
        return 1.0
    drawn = np.random.default_rng(seed).multivariate_hypergeometric(totals, len(first), size=permutations)
    return float((1 + (statistic(drawn) >= statistic(counts[0]) - 1e-9).sum()) / (1 + permutations))


def estimated_shares(
    held: np.ndarray, targets: np.ndarray, other: np.ndarray, classes: int, *, confidence: float, resamples: int, seed: int = 0
) -> Shares | None:
    """From predictions and labels of held rows and predictions of the others; None where the held rows tell too little."""
    cells = targets * classes + held
    known = np.bincount(targets, minlength=classes) / max(len(targets), 1)
    found = _solved(np.bincount(cells, minlength=classes**2), np.bincount(other, minlength=classes), classes)
    if found is None:
        return None
    generator, values = np.random.default_rng(seed), []
    for _ in range(resamples):
        drawn = [rows[generator.integers(0, len(rows), len(rows))] for rows in (cells, other)]
        one = _solved(np.bincount(drawn[0], minlength=classes**2), np.bincount(drawn[1], minlength=classes), classes)
        if one is not None:
            values.append(one)
    if len(values) < resamples / 2:
        return None
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return Shares(known, found, np.minimum(low, found), np.maximum(high, found))


def _solved(joint: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray | None:
    """Weights by the inverted joint shares, times the known shares, cut to shares; None where there is no inverse."""
    table = joint.reshape(classes, classes).T / joint.sum()  # predicted by right class
    if np.linalg.svd(table, compute_uv=False)[-1] * classes < _SMALLEST:
        return None
    shares = np.maximum(np.linalg.solve(table, predicted / predicted.sum()), 0) * table.sum(0)
    found: np.ndarray = shares / shares.sum()
    return found
