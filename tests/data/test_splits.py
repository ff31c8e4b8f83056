"""Splits: shares kept, classes balanced, groups and times never across, the same for the same seed."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tunewright.core.errors import UserError
from tunewright.datasets.splits import Split, join_groups, split

HOW = {"validation_size": 0.15, "test_size": 0.15}


def parts_of(found: Split) -> list[np.ndarray]:
    return [found.train, found.validation, found.test]


def is_partition(found: Split, n: int) -> bool:
    return bool((np.sort(np.concatenate(parts_of(found))) == np.arange(n)).all())


@pytest.mark.parametrize("seed", range(8))
def test_every_row_once_and_shares_kept(seed: int) -> None:
    targets = np.random.default_rng(seed).integers(0, 5, size=503)
    found = split(targets, **HOW, seed=seed)
    assert is_partition(found, 503)
    assert [len(part) for part in parts_of(found)] == [353, 75, 75]
    for part in parts_of(found):
        assert (np.diff(part) > 0).all()


def test_classes_are_balanced_to_a_row() -> None:
    targets = np.repeat([0, 1, 2], [100, 60, 40])
    found = split(targets, validation_size=0.2, test_size=0.1, seed=1)
    assert np.bincount(targets[found.test]).tolist() == [10, 6, 4]
    assert np.bincount(targets[found.validation]).tolist() == [20, 12, 8]


def test_the_seed_decides_and_nothing_else() -> None:
    targets = np.arange(200) % 4
    first, again, other = (split(targets, **HOW, seed=seed) for seed in (5, 5, 6))
    assert all((a == b).all() for a, b in zip(parts_of(first), parts_of(again), strict=True))
    assert (first.test != other.test).any()


@pytest.mark.parametrize("seed", range(8))
def test_every_class_keeps_a_row_in_train(seed: int) -> None:
    targets = np.array([0] * 60 + [1] * 3 + [2] * 2 + [3])
    found = split(targets, validation_size=0.3, test_size=0.3, seed=seed)
    assert set(targets[found.train]) == {0, 1, 2, 3}


@pytest.mark.parametrize("seed", range(8))
def test_rows_are_split_as_groups_of_one(seed: int) -> None:
    generator = np.random.default_rng(seed)
    for targets in (generator.integers(0, 9, size=101), generator.random(101), generator.integers(0, 2, size=(101, 3))):
        rows, groups = (split(targets, **HOW, groups=groups, seed=seed) for groups in (None, np.arange(101)))
        assert all(np.array_equal(a, b) for a, b in zip(parts_of(rows), parts_of(groups), strict=True))


def test_held_out_parts_are_bounded_and_balanced() -> None:
    targets = np.repeat([0, 1], [900, 100])
    found = split(targets, **HOW, most=50)
    assert [np.bincount(targets[part]).tolist() for part in parts_of(found)] == [[810, 90], [45, 5], [45, 5]]


@pytest.mark.parametrize("seed", range(8))
def test_groups_never_cross(seed: int) -> None:
    generator = np.random.default_rng(seed)
    groups, targets = generator.integers(0, 60, size=400), generator.integers(0, 3, size=400)
    found = split(targets, **HOW, groups=groups, seed=seed)
    assert is_partition(found, 400)
    owners = [set(groups[part]) for part in parts_of(found)]
    assert not (owners[0] & owners[1] or owners[0] & owners[2] or owners[1] & owners[2])
    assert all(abs(len(part) - 60) <= 15 for part in parts_of(found)[1:])
    # the control: without them they do
    plain = split(targets, **HOW, seed=seed)
    assert set(groups[plain.train]) & set(groups[plain.test])


@pytest.mark.parametrize("seed", range(8))
def test_a_few_large_groups_are_still_shared_out(seed: int) -> None:
    groups = np.arange(100) % 10
    found = split(groups % 2, **HOW, groups=groups, seed=seed)
    assert is_partition(found, 100)
    assert [len(part) for part in parts_of(found)] in ([80, 10, 10], [70, 20, 10], [70, 10, 20], [60, 20, 20])


@pytest.mark.parametrize("seed", range(8))
def test_one_of_five_groups_that_have_every_class_is_held_out(seed: int) -> None:
    generator = np.random.default_rng(seed)
    groups, targets = np.repeat(np.arange(5), 60), generator.integers(0, 10, size=300)
    found = split(targets, validation_size=0.2, test_size=0.0, groups=groups, seed=seed)
    assert [len(part) for part in parts_of(found)] == [240, 60, 0]
    assert len(set(groups[found.validation])) == 1
    both = split(targets, validation_size=0.2, test_size=0.2, groups=groups, seed=seed)
    assert [len(part) for part in parts_of(both)] == [180, 60, 60]
    assert len({*groups[both.validation], *groups[both.test], *groups[both.train]}) == 5


@pytest.mark.parametrize("seed", range(8))
def test_a_group_that_has_a_class_alone_stays_in_train(seed: int) -> None:
    groups, targets = np.repeat(np.arange(5), 60), np.tile([0, 1], 150)
    targets[10], targets[70] = 2, 3  # in the first and in the second group
    found = split(targets, validation_size=0.2, test_size=0.2, groups=groups, seed=seed)
    assert {0, 1} < set(groups[found.train])
    assert [len(part) for part in parts_of(found)] == [180, 60, 60]


def test_groups_too_large_for_a_share_are_refused_with_the_share_that_is_not() -> None:
    groups, targets = np.repeat(np.arange(3), 100), np.tile([0, 1], 150)
    with pytest.raises(UserError, match=r"smallest of 3 groups has 100 of 300 rows.*data\.validation_size=0\.34"):
        split(targets, validation_size=0.15, test_size=0.0, groups=groups)
    found = split(targets, validation_size=0.34, test_size=0.0, groups=groups)
    assert [len(part) for part in parts_of(found)] == [200, 100, 0]
    with pytest.raises(UserError, match=r"in 2 groups are too few .* more than one group"):
        split(np.repeat([0, 1], 50), validation_size=0.5, test_size=0.0, groups=np.repeat([0, 1], 50))


def test_by_time_the_latest_rows_are_held_out() -> None:
    times = np.random.default_rng(0).permutation(100).astype(float)
    found = split(np.arange(100) % 2, **HOW, times=times, seed=3)
    assert is_partition(found, 100)
    assert times[found.train].max() < times[found.validation].min()
    assert times[found.validation].max() < times[found.test].min()
    assert [len(part) for part in parts_of(found)] == [70, 15, 15]


def test_by_time_with_groups_nothing_late_is_trained_on() -> None:
    generator = np.random.default_rng(0)
    times, groups = generator.random(200), generator.integers(0, 80, size=200)
    found = split(np.arange(200) % 2, **HOW, times=times, groups=groups)
    assert not set(groups[found.train]) & set(groups[found.test])
    latest = np.array([times[groups == groups[row]].max() for row in range(200)])
    assert latest[found.train].max() < latest[found.test].min()


def test_numbers_and_several_labels_are_spread_over_the_parts() -> None:
    numbers = np.linspace(0, 1, 400, dtype=np.float32) ** 4
    found = split(numbers, **HOW, seed=0)
    assert abs(numbers[found.train].mean() - numbers[found.test].mean()) < 0.03
    flags = np.zeros((200, 3), dtype=np.float32)
    flags[:100, 0], flags[50:150, 1], flags[:4, 2] = 1, 1, 1
    for seed in range(5):
        assert flags[split(flags, **HOW, seed=seed).train].sum(axis=0).min() > 0


def test_a_given_part_needs_no_share() -> None:
    found = split(np.arange(40) % 2, validation_size=0.25, test_size=0.0, seed=0)
    assert (len(found.train), len(found.validation), len(found.test)) == (30, 10, 0)


def test_too_few_rows_and_too_large_shares_are_refused() -> None:
    with pytest.raises(UserError, match=r"too few to hold out .* more rows"):
        split(np.array([0, 1]), **HOW)
    with pytest.raises(UserError, match="take all rows"):
        split(np.arange(40) % 2, validation_size=0.6, test_size=0.5)


def test_groupings_are_joined_through_their_common_rows() -> None:
    joined = join_groups(np.array([0, 0, 1, 2, 3]), np.array([5, 6, 6, 7, 8]))
    assert joined is not None
    assert joined[0] == joined[1] == joined[2]
    assert len(set(joined.tolist())) == 3
    assert join_groups(None, None) is None


def test_by_time_takes_time_that_grows_with_the_groups() -> None:
    started = time.process_time()
    n = 200_000  # counting the rows anew for each group would add up four hundred million lengths
    found = split(np.arange(n) % 2, **HOW, times=np.arange(n), groups=np.arange(n))
    assert time.process_time() - started < 15
    assert [len(part) for part in parts_of(found)] == [140_000, 30_000, 30_000]
    assert found.test.min() == 170_000
