"""An interval for any number that is a function of the rows, by resampling them.

Source: Efron and Tibshirani 1993, section 13.3 (percentile interval).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tunewright.analysis.context import AnalysisContext
from tunewright.core.types import Score
from tunewright.evaluation.intervals import times_drawn


def bootstrapped(
    name: str,
    n: int,
    statistic: Callable[[np.ndarray], np.ndarray],
    subject: AnalysisContext,
    *,
    unit: str = "",
    split: str = "test",
    note: str = "",
) -> Score:
    """The score of a statistic of n rows: of how often each counts, (resamples, n), to values (resamples,)."""
    if n == 0:
        return Score(name, None, None, None, 0, unit, split, "no rows")
    found = float(statistic(np.ones((1, n), dtype=np.int32))[0])
    if np.isnan(found):
        return Score(name, None, None, None, n, unit, split, "undefined on these rows")
    values = statistic(times_drawn(n, subject.resamples, subject.seed))
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return Score(name, found, None, None, n, unit, split, "no interval: undefined on resampled rows")
    tail = (1 - subject.confidence) / 2
    low, high = (float(one) for one in np.quantile(values, [tail, 1 - tail]))
    return Score(name, found, min(low, found), max(high, found), n, unit, split, note)
