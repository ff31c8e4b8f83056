"""Two predictions of the same rows compared as a pair.

Source: paired bootstrap: Efron and Tibshirani 1993, chapter 16; McNemar 1947, in its exact binomial form, where each row is
right or wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tunewright.core.parts import load_part
from tunewright.core.types import Labels, Predictions
from tunewright.evaluation.intervals import resampled


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
    metric = load_part("metrics", name)
    reads = [one.probabilities if metric.NEEDS == "probabilities" else one.values for one in (first, second)]
    found = [None if read is None else metric.value(targets, read, labels) for read in reads]
    empty = {"metric": name, "difference": None, "low": None, "high": None, "p": None, "test": "undefined for one of the two"}
    if None in found:
        return empty
    draws = [resampled(name, targets, read, labels, resamples, seed) for read in reads if read is not None]
    if len(draws[0]) != len(draws[1]) or len(draws[0]) < 2:  # undefined on some resamples: they no longer pair
        return empty | {"difference": found[0] - found[1], "test": "no pairs"}  # type: ignore[operator]
    differences = draws[0] - draws[1]
    low, high = np.quantile(differences, [(1 - confidence) / 2, (1 + confidence) / 2])
    p, test = _p_value(name, targets, first.values, second.values, differences)
    told = {"difference": found[0] - found[1], "low": float(low), "high": float(high)}  # type: ignore[operator]
    return {"metric": name, **told, "p": p, "test": test}


def mcnemar(first_right: np.ndarray, second_right: np.ndarray) -> float:
    """Probability of so uneven a split of the rows that only one of the two gets right, were both equally good."""
    from scipy.stats import binomtest

    only_first, only_second = int((first_right & ~second_right).sum()), int((second_right & ~first_right).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second, 0.5).pvalue)


def _p_value(name: str, targets: np.ndarray, first: np.ndarray, second: np.ndarray, differences: np.ndarray) -> tuple[float, str]:
    if name in ("accuracy", "subset_accuracy"):
        right = [(values == targets).reshape(len(targets), -1).all(1) for values in (first, second)]
        return mcnemar(*right), "McNemar, exact"
    below = (1 + (differences <= 0).sum()) / (1 + len(differences))
    above = (1 + (differences >= 0).sum()) / (1 + len(differences))
    return float(min(1.0, 2 * min(below, above))), "paired bootstrap"
