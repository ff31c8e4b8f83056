"""How well a number tells rows of one kind from rows of another, with resampling as matrix arithmetic.

Source: area under the curve of true over false positives as Mann and Whitney's share of pairs in the right order: Hanley and
McNeil 1982; false positives where 95 % are kept: Hendrycks and Gimpel 2017; Liang, Li and Srikant 2018, section 4.2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Statistic = Callable[[np.ndarray], np.ndarray]

_CELLS = 10_000_000  # rows x resamples that are sorted at once


def ranking_area(values: np.ndarray, wanted: np.ndarray) -> Statistic:
    """Share of pairs in which the wanted row has the larger value, ties counted half, as a function of how often rows count.

    ``values`` (n,), ``wanted`` (n,) bool; undefined where rows of one kind are missing.
    """
    order, starts = _groups(values)

    def of_piece(counts: np.ndarray) -> np.ndarray:
        ours, others = _sums(counts, order, starts, wanted)
        below = others.cumsum(1) - others / 2
        pairs = ours.sum(1) * others.sum(1)
        found: np.ndarray = np.where(pairs > 0, (ours * below).sum(1) / np.maximum(pairs, 1), np.nan)
        return found

    return _in_pieces(of_piece)


def false_positives_at(values: np.ndarray, wanted: np.ndarray, kept: float = 0.95) -> Statistic:
    """Share of the other rows that lie above the value that a share ``kept`` of the wanted rows reaches."""
    order, starts = _groups(-values)

    def of_piece(counts: np.ndarray) -> np.ndarray:
        ours, others = _sums(counts, order, starts, wanted)
        reached = ours.cumsum(1) >= kept * ours.sum(1, keepdims=True) - 1e-9
        place = reached.argmax(1)
        total = others.sum(1)
        above = others.cumsum(1)[np.arange(len(counts)), place]
        found: np.ndarray = np.where((total > 0) & (ours.sum(1) > 0), above / np.maximum(total, 1), np.nan)
        return found

    return _in_pieces(of_piece)


def _groups(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows from the smallest value on, and where rows of a new value start."""
    order = np.argsort(values, kind="stable")
    found = values[order]
    return order, np.flatnonzero(np.r_[True, found[1:] != found[:-1]])


def _sums(counts: np.ndarray, order: np.ndarray, starts: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each value how many wanted and how many other rows have it, (resamples, values) each."""
    ordered, ours = counts[:, order].astype(np.float64), wanted[order]
    return np.add.reduceat(ordered * ours, starts, axis=1), np.add.reduceat(ordered * ~ours, starts, axis=1)


def _in_pieces(of_piece: Statistic) -> Statistic:
    return lambda counts: np.concatenate([of_piece(piece) for piece in np.array_split(counts, 1 + counts.size // _CELLS)])
