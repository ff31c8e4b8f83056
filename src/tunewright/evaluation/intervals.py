"""A metric with its interval, by resampling the rows.

Source: Efron and Tibshirani 1993, section 13.3 (percentile interval). Where every row is right, or none, resampling would claim
certainty: there the exact binomial interval (Clopper and Pearson 1934) stands in.
"""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType

import numpy as np

from tunewright.core.types import Labels, Predictions, Score
from tunewright.metrics._columns import load_metric

_CELLS = 20_000_000  # rows x resamples; beyond it the slow ways draw fewer, and the product is cut in pieces
_OBJECT = 200  # cells that a row of boxes or words counts for; a guess


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
    metric = load_metric(name)
    read = what_it_reads(metric, predictions)
    n = len(predictions.values)
    found, values = (None, None) if read is None else measured(metric, targets, read, labels, resamples, seed)
    if found is None or values is None:
        return Score(name, None, None, None, n, metric.UNIT, split, "undefined on these rows")
    if is_share(metric) and found in (0.0, 1.0):
        low, high = exact_interval(round(found * n), n, confidence)
        return Score(name, found, low, high, n, metric.UNIT, split, "exact binomial interval")
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return Score(name, found, None, None, n, metric.UNIT, split, "no interval: undefined on resampled rows")
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Score(name, found, min(float(low), found), max(float(high), found), n, metric.UNIT, split)


def measured(
    metric: ModuleType, targets: np.ndarray, read: np.ndarray, labels: Labels, resamples: int, seed: int
) -> tuple[float | None, np.ndarray]:
    """The metric on all rows, and on each resample of them, nan where it is undefined there.

    None are drawn if it is undefined on all rows. A function of sums over rows needs one matrix product for all resamples.
    """
    n = len(read)
    if hasattr(metric, "sums"):
        sums = metric.sums(targets, read, labels)
        whole = metric.of_sums(sums.sum(0), labels)
        if np.isnan(whole):
            return None, np.empty(0)
        return float(whole), metric.of_sums(_product(times_drawn(n, resamples, seed), sums), labels)
    fewer = max(100, min(resamples, _CELLS // max(1, n * _width(read))))
    if hasattr(metric, "on_draws"):
        all_rows = np.ones((1, n), dtype=np.int32)
        found, *values = metric.on_draws(targets, read, labels, np.vstack([all_rows, times_drawn(n, fewer, seed)]))
        return (None, np.empty(0)) if np.isnan(found) else (float(found), np.array(values))
    found = metric.value(targets, read, labels)
    if found is None:
        return None, np.empty(0)
    draws = (np.repeat(np.arange(n), row) for row in times_drawn(n, fewer, seed))
    values = (metric.value(targets[chosen], read[chosen], labels) for chosen in draws)
    return found, np.array([np.nan if value is None else value for value in values])


def what_it_reads(metric: ModuleType, predictions: Predictions) -> np.ndarray | None:
    """Values or probabilities, as the metric needs; None where there are no probabilities."""
    return predictions.probabilities if metric.NEEDS == "probabilities" else predictions.values


def is_share(metric: ModuleType) -> bool:
    """Whether the metric is the share of rows that are right."""
    return bool(getattr(metric, "SHARE_OF_ROWS", False))


def exact_interval(right: int, n: int, confidence: float) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share."""
    from scipy.stats import binomtest

    interval = binomtest(right, n).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)


def _product(draws: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """``draws @ sums`` in pieces, because the product makes floating-point copies of the counts."""
    return np.concatenate([piece @ sums for piece in np.array_split(draws, 1 + draws.size // _CELLS)])


def _width(read: np.ndarray) -> int:
    if read.dtype == object:
        return _OBJECT
    return read.shape[1] if read.ndim == 2 else 1


@lru_cache(maxsize=2)
def times_drawn(n: int, resamples: int, seed: int) -> np.ndarray:
    """How often each row is drawn in each resample, (resamples, n): the same for every metric and model, so that they pair."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.int32)
