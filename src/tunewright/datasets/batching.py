"""Batches of rows of similar length: little padding, an order that follows from seed and epoch alone.

Source: Khomenko et al. 2016, Accelerating recurrent neural network training using sequence bucketing.
"""

from __future__ import annotations

import numpy as np

_BUCKET = 50  # batches sorted together; larger saves more padding and shuffles less (a guess)


def _cut(order: np.ndarray, batch_size: int) -> list[np.ndarray]:
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def batches(lengths: np.ndarray, batch_size: int, *, seed: int, epoch: int, shuffle: bool = True) -> list[np.ndarray]:
    """Row indices of each batch of an epoch; every row once, the last partial batch kept.

    Rows are permuted, sorted by length within buckets of many batches, and the batches shuffled; without ``shuffle`` in order.
    """
    n = len(lengths)
    if not shuffle:
        return _cut(np.arange(n), batch_size)
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(n)
    found = []
    for bucket in _cut(order, batch_size * _BUCKET):
        found += _cut(bucket[np.argsort(lengths[bucket], kind="stable")], batch_size)
    return [found[place] for place in generator.permutation(len(found))]


def for_evaluation(lengths: np.ndarray, tokens: int) -> list[np.ndarray]:
    """Row indices of each pass of at most ``tokens`` padded tokens; the longest come first, so that too little memory shows."""
    return within_budget(np.arange(len(lengths)), np.asarray(lengths), tokens)


def within_budget(rows: np.ndarray, lengths: np.ndarray, tokens: int, most_rows: int | None = None) -> list[np.ndarray]:
    """Rows cut into passes whose padded size is at most ``tokens`` (a longer row goes alone), as few as that allows."""
    if not len(rows):
        return []
    most = len(rows) if most_rows is None else most_rows
    if len(rows) <= most and len(rows) * int(lengths[rows].max(initial=0)) <= tokens:
        return [rows]
    ordered = rows[np.argsort(-lengths[rows], kind="stable")]
    found, start = [], 0
    while start < len(ordered):
        size = max(1, min(most, tokens // int(lengths[ordered[start]])))
        found.append(ordered[start : start + size])
        start += size
    return found
