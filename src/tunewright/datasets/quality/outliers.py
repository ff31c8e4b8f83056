"""Values far outside of all others: lengths of texts, and numbers of a column.

Source: fences at three times the distance of the quartiles ('far out'): Tukey 1977, Exploratory Data Analysis, section 2D. A
column of numbers may have a long tail that is true; there a value is told only where a gap as wide as all other values parts it
from them, on the plain scale and on that of logarithms.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_FAR = 3.0  # times the distance of the quartiles (Tukey 1977)
_FEWEST = 50  # rows below which quartiles say little (a guess)
_LEAST_SPREAD = 0.25  # of the quartiles of log lengths: texts of nearly one length differ by a word without being odd (a guess)
_MOST = 0.05  # of the rows; what is more is a group of its own (a guess)
_LEAST_VALUES = 10  # different numbers among the others, below which they are codes and not amounts (a guess)


def far_lengths(texts: Sequence[str]) -> tuple[np.ndarray, tuple[int, int]]:
    """Rows whose text is far longer or shorter than the others, and the lengths in between, in characters; empty texts aside."""
    lengths = np.array([len(text.strip()) for text in texts])
    filled = lengths[lengths > 0]
    if len(filled) < _FEWEST:
        return np.zeros(0, dtype=np.int64), (0, 0)
    logs = np.log(filled)
    low, high = np.quantile(logs, [0.25, 0.75])
    reach = _FAR * max(high - low, _LEAST_SPREAD)
    bounds = float(np.exp(low - reach)), float(np.exp(high + reach))
    far = np.flatnonzero((lengths > 0) & ((lengths < bounds[0]) | (lengths > bounds[1])))
    return (far if len(far) <= _MOST * len(lengths) else far[:0]), (int(np.ceil(bounds[0])), int(bounds[1]))


def far_numbers(values: np.ndarray) -> np.ndarray:
    """Places in (n,), nan where there is no value, of those that a gap as wide as all others parts from them."""
    known = np.flatnonzero(~np.isnan(values))
    found: list[int] = []
    while len(known) >= _FEWEST:
        far = _far_of(values, known)
        if not far or len(found) + len(far) > _MOST * len(values):
            break
        found += far
        known = np.setdiff1d(known, far)
    return np.array(sorted(found), dtype=np.int64)


def _far_of(values: np.ndarray, known: np.ndarray) -> list[int]:
    """Those far above all others, and those far below."""
    order = known[np.argsort(values[known], kind="stable")]
    plain = values[order]
    scale = float(np.median(np.abs(plain))) or 1.0
    most = int(_MOST * len(order))
    above = _parted(plain, np.arcsinh(plain / scale), most)
    below = _parted(-plain[::-1], np.arcsinh(-plain[::-1] / scale), most)
    return [*order[:below].tolist(), *order[len(order) - above :].tolist()]


def _parted(plain: np.ndarray, logs: np.ndarray, most: int) -> int:
    """How many of the largest of ascending numbers are parted from the rest by such a gap."""
    inner = np.arange(len(plain) - most, len(plain))  # how many are left where the largest ones go
    gaps, log_gaps = (one[inner] - one[inner - 1] for one in (plain, logs))
    wide = (gaps > 0) & (gaps >= plain[inner - 1] - plain[0]) & (log_gaps >= logs[inner - 1] - logs[0])
    left: int
    for left in inner[wide].tolist():
        if len(np.unique(plain[:left])) >= _LEAST_VALUES:
            return len(plain) - left
    return 0
