"""Batches: every row once, of similar length, decided by seed and epoch alone."""

from __future__ import annotations

import numpy as np
import pytest

from tunewright.datasets.batching import batches, for_evaluation, within_budget


def lengths_of(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).geometric(0.05, size=n)


def padded(plan: list[np.ndarray], lengths: np.ndarray) -> int:
    return int(sum(len(batch) * lengths[batch].max() for batch in plan))


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 400, 401, 1003])
@pytest.mark.parametrize("batch_size", [1, 8, 64])
@pytest.mark.parametrize("shuffle", [True, False])
def test_every_row_once_in_full_batches_but_one(n: int, batch_size: int, shuffle: bool) -> None:
    lengths = lengths_of(n)
    plan = batches(lengths, batch_size, seed=1, epoch=2, shuffle=shuffle)
    assert sorted(row for batch in plan for row in batch.tolist()) == list(range(n))
    assert sorted(map(len, plan), reverse=True) == [batch_size] * (n // batch_size) + [n % batch_size] * (n % batch_size > 0)


@pytest.mark.parametrize("n", [0, 1, 7, 400])
@pytest.mark.parametrize("tokens", [1, 30, 1000])
@pytest.mark.parametrize("most_rows", [None, 1, 5])
def test_passes_keep_every_row_and_the_budget(n: int, tokens: int, most_rows: int | None) -> None:
    lengths = lengths_of(n)
    plan = within_budget(np.arange(n), lengths, tokens, most_rows)
    assert sorted(row for part in plan for row in part.tolist()) == list(range(n))
    for part in plan:
        assert len(part) == 1 or len(part) * lengths[part].max() <= tokens
        assert len(part) <= (most_rows or n)


def test_a_batch_within_the_budget_is_left_as_it_is() -> None:
    rows = np.array([3, 0, 2])
    assert [part.tolist() for part in within_budget(rows, np.array([5, 5, 5, 5]), 15)] == [[3, 0, 2]]
    assert [part.tolist() for part in within_budget(rows, np.array([5, 5, 5, 9]), 15)] == [[3], [0, 2]]


def test_seed_and_epoch_decide_and_the_global_state_does_not() -> None:
    lengths = lengths_of(500)

    def order(seed: int, epoch: int) -> list[int]:
        np.random.seed(seed + epoch)
        return np.concatenate(batches(lengths, 16, seed=seed, epoch=epoch)).tolist()

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9
    assert order(1, 0) != order(0, 1)


def test_similar_lengths_share_a_batch() -> None:
    lengths = lengths_of(4000)
    random_order = list(np.array_split(np.random.default_rng(0).permutation(4000), 125))
    assert padded(batches(lengths, 32, seed=0, epoch=0), lengths) < 0.5 * padded(random_order, lengths)
    assert padded(for_evaluation(lengths, 600), lengths) <= padded(batches(lengths, 32, seed=0, epoch=0), lengths)


def test_batches_come_in_no_order_of_length() -> None:
    lengths = lengths_of(1600)
    means = np.array([lengths[batch].mean() for batch in batches(lengths, 32, seed=0, epoch=0)])
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.5


def test_without_shuffling_rows_keep_their_order() -> None:
    assert np.concatenate(batches(lengths_of(50), 8, seed=0, epoch=0, shuffle=False)).tolist() == list(range(50))


def test_evaluation_starts_with_the_longest() -> None:
    lengths = np.array([3, 9, 5, 9])
    assert np.concatenate(for_evaluation(lengths, 18)).tolist() == [1, 3, 2, 0]
