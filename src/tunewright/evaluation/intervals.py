"""A metric with its interval, by resampling the rows.

Source: Efron and Tibshirani 1993, section 13.3 (percentile interval). Where every row is right, or none, resampling would claim
certainty: there the exact binomial interval (Clopper and Pearson 1934) stands in.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tunewright.core.parts import load_part
from tunewright.core.types import Labels, Predictions, Score

_CELLS = 20_000_000  # rows x resamples of the slow path; beyond it fewer resamples are drawn


def score(
    name: str,
    targets: np.ndarray,
    predictions: Predictions,
    labels: Labels,
    *,
    split: str = "test",
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Score:
    """One metric on n rows with a percentile bootstrap interval; undefined values say so in the note."""
    metric = load_part("metrics", name)
    read = predictions.probabilities if metric.NEEDS == "probabilities" else predictions.values
    n = len(targets)
    found = None if read is None else metric.value(targets, read, labels)
    if found is None or read is None:
        return Score(name, None, None, None, n, metric.UNIT, split, "undefined on these rows")
    if name in ("accuracy", "subset_accuracy") and found in (0.0, 1.0):
        low, high = exact_interval(round(found * n), n, confidence)
        return Score(name, found, low, high, n, metric.UNIT, split, "exact binomial interval")
    values = resampled(name, targets, read, labels, resamples, seed)
    if len(values) < 2:
        return Score(name, found, None, None, n, metric.UNIT, split, "no interval: undefined on resampled rows")
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Score(name, found, min(float(low), found), max(float(high), found), n, metric.UNIT, split)


def resampled(name: str, targets: np.ndarray, read: np.ndarray, labels: Labels, resamples: int, seed: int) -> np.ndarray:
    """The metric on each resample of the rows, those left out where it is undefined.

    A metric that is a mean over rows is a weighted mean on a resample: a thousand of them are one matrix product.
    """
    n, metric = len(targets), load_part("metrics", name)
    if hasattr(metric, "rows"):
        means: np.ndarray = _draws(n, resamples, seed) @ metric.rows(targets, read) / n
        return means
    counts = _draws(n, max(100, min(resamples, _CELLS // max(1, n * _width(read)))), seed)
    values = (metric.value(targets[chosen], read[chosen], labels) for chosen in (np.repeat(np.arange(n), row) for row in counts))
    return np.array([value for value in values if value is not None])


def exact_interval(right: int, n: int, confidence: float) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share."""
    from scipy.stats import binomtest

    interval = binomtest(right, n).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)


def _width(read: np.ndarray) -> int:
    return read.shape[1] if read.ndim == 2 else 1


@lru_cache(maxsize=2)
def _draws(n: int, resamples: int, seed: int) -> np.ndarray:
    """How often each row is drawn in each resample, (resamples, n): the same for every metric and model, so that they pair."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.int32)
