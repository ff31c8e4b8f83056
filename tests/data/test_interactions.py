"""Pairs of users and items: read with their faults, split without a look ahead, histories without the answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tunewright.core.errors import UserError
from tunewright.data.table import Table
from tunewright.data.tables.interactions import (
    Interactions,
    histories,
    label_matrix,
    leave_last_out,
    read_interactions,
    split_by_pairs,
)

ROWS = [  # user, item, rating, time
    ("ann", "tea", 5, 30),
    ("ann", "jam", 4, 10),
    ("bob", "tea", 1, 5),
    ("bob", "rye", 5, 7),
    ("ann", "rye", 4, 20),
    ("cy", "jam", 5, 1),
]


def table(rows: list[tuple[Any, ...]] = ROWS) -> Table:
    columns = dict(zip(("who", "what", "stars", "when"), map(list, zip(*rows, strict=True)), strict=True))
    return Table(columns, tuple(range(2, 2 + len(rows))), "log.csv", "line")


def pairs(interactions: Interactions) -> list[tuple[str, str]]:
    return [
        (interactions.user_names[user - 1], interactions.item_names[item - 1])
        for user, item in zip(interactions.users.tolist(), interactions.items.tolist(), strict=True)
    ]


@pytest.fixture
def read() -> Interactions:
    return read_interactions(table(), "who", "what", rating="stars", least=4, time="when", catalogue=["oil"])


def test_what_counts_and_who_keeps_a_place(read: Interactions) -> None:
    assert pairs(read) == [("ann", "tea"), ("ann", "jam"), ("bob", "rye"), ("ann", "rye"), ("cy", "jam")]
    assert read.user_names == ("ann", "bob", "cy")
    assert read.item_names == ("jam", "oil", "rye", "tea")
    assert read.times is not None
    assert read.times.tolist() == [30, 10, 7, 20, 1]
    assert read.popularity.tolist() == [0, 2, 0, 2, 1]
    assert len(read_interactions(table(), "who", "what")) == 6


def test_a_pair_that_comes_again_counts_once_with_its_last_time() -> None:
    rows = [("a", "x", 5, 9), ("a", "x", 5, 3), ("a", "y", 5, 4), (7, "x", 5, 1), (7.0, "x", 5, 0)]
    found = read_interactions(table(rows), "who", "what", time="when")
    assert pairs(found) == [("a", "x"), ("a", "y"), ("7", "x")]
    assert found.times is not None
    assert found.times.tolist() == [9, 4, 1]
    assert [(finding.code, finding.count) for finding in found.findings] == [("repeated_pairs", 2)]


def test_all_faults_are_told_with_their_lines() -> None:
    rows = [("a", "x", "good", 1), ("", "y", 3, "soon")]
    with pytest.raises(UserError) as raised:
        read_interactions(table(rows), "who", "what", rating="stars", least=4, time="when")
    said = str(raised.value)
    assert "log.csv, line 3: 'who' is ''" in said
    assert "log.csv, line 2: the rating 'good' is not a number" in said
    assert "'soon'" in said or "point in time" in said
    with pytest.raises(UserError, match="both or neither"):
        read_interactions(table(), "who", "what", rating="stars")
    with pytest.raises(UserError, match="no interaction that counts"):
        read_interactions(table(), "who", "what", rating="stars", least=6)
    with pytest.raises(UserError, match="column 'user' is not known"):
        read_interactions(table(), "user", "what")


def test_histories_are_oldest_first(read: Interactions) -> None:
    found = histories(read)
    names = [[read.item_names[place - 1] for place in found.of(user)] for user in range(4)]
    assert names == [[], ["jam", "rye", "tea"], ["rye"], ["jam"]]


def test_bags_leave_out_what_is_to_be_guessed(read: Interactions) -> None:
    found = histories(read)
    items, starts = found.bags(np.array([1, 0, 2, 1]))
    assert (items.tolist(), starts.tolist()) == ([1, 3, 4, 3, 1, 3, 4], [0, 3, 3, 4])
    items, starts = found.bags(np.array([1, 2]), without=np.array([3, 3]))
    assert (items.tolist(), starts.tolist()) == ([1, 4], [0, 2])
    items, _ = found.bags(np.array([1]), longest=2)
    assert items.tolist() == [3, 4]


def test_leave_last_out_tests_on_the_future(read: Interactions) -> None:
    train, test = leave_last_out(read)
    assert pairs(test) == [("ann", "tea")]
    assert pairs(train) == [("ann", "jam"), ("bob", "rye"), ("ann", "rye"), ("cy", "jam")]
    assert train.item_names == test.item_names == read.item_names
    with pytest.raises(UserError, match="without times"):
        leave_last_out(read_interactions(table(), "who", "what"))


def test_a_published_split_is_taken_as_it_is(read: Interactions) -> None:
    train, test = split_by_pairs(read, [("ann", "rye"), ("cy", "jam"), ("bob", "tea")])
    assert pairs(test) == [("ann", "rye"), ("cy", "jam")]
    assert set(pairs(train)) == set(pairs(read)) - set(pairs(test))


def test_label_matrix() -> None:
    matrix, labels = label_matrix(("jam", "oil", "tea"), {"jam": ["sweet", "red"], "tea": ["red"]})
    assert labels == ("red", "sweet")
    assert matrix.tolist() == [[0, 0], [1, 1], [0, 0], [1, 0]]


@pytest.mark.real_data
def test_movielens_and_its_first_official_split(shared_data: Any) -> None:
    import csv
    import gzip

    def rows(name: str) -> list[dict[str, str]]:
        with gzip.open(shared_data / "movielens100k" / f"{name}.csv.gz", "rt", newline="") as file:
            return list(csv.DictReader(file))

    ratings = rows("ratings")
    columns: dict[str, list[Any]] = {name: [row[name] for row in ratings] for name in ratings[0]}
    whole = read_interactions(Table(columns, tuple(range(len(ratings))), "ratings", "row"), "user", "item", time="timestamp")
    assert (len(whole), len(whole.user_names), len(whole.item_names)) == (len(ratings), 943, 1682)
    assert len(ratings) >= 99_999  # the copy of the data set at hand may lack a row
    train, test = split_by_pairs(whole, [(row["user"], row["item"]) for row in rows("u1_test_index")])
    assert len(test) in (19_999, 20_000)
    assert len(train) + len(test) == len(ratings)
    assert not set(pairs(train)) & set(pairs(test))
