"""Two predictions of the same rows compared as a pair.

Source: paired bootstrap: Efron and Tibshirani 1993, chapter 16; McNemar 1947, in its exact binomial form, where each row is
right or wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tunewright.core.types import Labels, Predictions
from tunewright.evaluation.intervals import is_share, measured, what_it_reads
from tunewright.metrics._columns import load_metric


def compare(
    name: str,
    targets: np.ndarray,
    first: Predictions,
    second: Predictions,
    labels: Labels,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Difference first - second in one metric with its paired interval, and a p-value with the name of its test."""
    metric = load_metric(name)
    reads = [read for read in (what_it_reads(metric, one) for one in (first, second)) if read is not None]
    empty = {"metric": name, "difference": None, "low": None, "high": None, "p": None, "test": "undefined for one of the two"}
    if len(reads) < 2:
        return empty
    (one, ones), (other, others) = (measured(metric, targets, read, labels, resamples, seed) for read in reads)
    if one is None or other is None:
        return empty
    differences = ones - others
    differences = differences[~np.isnan(differences)]  # resamples on which both are defined
    if len(differences) < 2:
        return empty | {"difference": one - other, "test": "no pairs"}
    low, high = np.quantile(differences, [(1 - confidence) / 2, (1 + confidence) / 2])
    if is_share(metric):
        p, test = mcnemar(*(metric.sums(targets, read, labels)[:, 0] > 0 for read in reads)), "McNemar, exact"
    else:
        p, test = _p_value(differences), "paired bootstrap"
    return {"metric": name, "difference": one - other, "low": float(low), "high": float(high), "p": p, "test": test}


def mcnemar(first_right: np.ndarray, second_right: np.ndarray) -> float:
    """Probability of so uneven a split of the rows that only one of the two gets right, were both equally good."""
    from scipy.stats import binomtest

    only_first, only_second = int((first_right & ~second_right).sum()), int((second_right & ~first_right).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second, 0.5).pvalue)


def _p_value(differences: np.ndarray) -> float:
    """Twice the smaller share of resamples on which the difference is on one side of 0."""
    below = (1 + (differences <= 0).sum()) / (1 + len(differences))
    above = (1 + (differences >= 0).sum()) / (1 + len(differences))
    return float(min(1.0, 2 * min(below, above)))
