"""Rows of a table as arrays: the contract of an input kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tunewright.core.errors import UserError
from tunewright.datasets.table import Table
from tunewright.modalities.table.columns import Columns, learn_columns
from tunewright.modalities.table.modality import Encoded, encode, key, read, shown

NAMES = ("age", "job", "since")
ROWS: list[tuple[Any, ...]] = [
    ("39", "clerk", "2020-01-31"),
    ("", "clerk", "2021-02-28"),
    ("50", "smith", ""),
    ("41", "smith", "2022-03-31"),
    ("28", "", "2023-04-30"),
]


@pytest.fixture(scope="module")
def columns() -> Columns:
    return learn_columns(NAMES, ROWS)


@pytest.fixture
def encoded(columns: Columns) -> Encoded:
    return encode(ROWS, columns)


def test_shapes_and_what_is_missing(encoded: Encoded) -> None:
    assert len(encoded) == 5
    assert encoded.lengths.tolist() == [5] * 5
    assert encoded.lengths.dtype == np.int64
    assert (encoded.truncated, encoded.varies, encoded.findings) == (0, False, ())
    assert encoded.numbers.shape == encoded.missing.shape == (5, 4)  # age; days, month, weekday
    assert encoded.missing[:, 0].tolist() == [False, True, False, False, False]
    assert encoded.missing[2].tolist() == [False, True, True, True]
    assert (encoded.numbers[encoded.missing] == 0).all()
    assert encoded.categories[:, 0].tolist() == [2, 2, 3, 3, 1]


def test_a_batch_is_the_rows_asked_for(encoded: Encoded) -> None:
    batch = encoded.collate(np.array([3, 0]))
    assert {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in batch.items()} == {
        "numbers": (torch.float32, (2, 4)),
        "missing": (torch.bool, (2, 4)),
        "categories": (torch.int64, (2, 1)),
    }
    assert batch["numbers"].tolist() == encoded.numbers[[3, 0]].tolist()
    assert batch["categories"].tolist() == [[3], [2]]
    batch["numbers"].zero_()
    assert encoded.numbers[3].any()  # a batch is a copy


def test_a_subset_keeps_the_order_asked_for(encoded: Encoded) -> None:
    part = encoded.subset(np.array([4, 1]))
    assert len(part) == 2
    assert all((some == array[[4, 1]]).all() for some, array in zip(part.arrays(), encoded.arrays(), strict=True))


def test_keys_and_what_people_read(encoded: Encoded, columns: Columns) -> None:
    assert shown(ROWS[4]) == "28, ·, 2023-04-30"
    assert len({key(row) for row in ROWS}) == 5
    again = (39.0, " clerk ", "2020-01-31")
    assert key(again) == key(ROWS[0])
    same = encode([again], columns)
    assert all((one[0] == array[0]).all() for one, array in zip(same.arrays(), encoded.arrays(), strict=True))
    assert key(("a, b", "c")) != key(("a", "b, c"))
    assert key((None, 1)) == key(("", "1")) != key(("None", 1))


def test_an_unseen_category_is_said_with_its_rows(columns: Columns) -> None:
    found = encode([("1", "clerk", ""), ("2", "baker", ""), ("3", "baker", "")], columns)
    assert found.categories[:, 0].tolist() == [2, 0, 0]
    [finding] = found.findings
    assert (finding.code, finding.rows, finding.count) == ("unseen_category", (1, 2), 2)
    assert finding.message.startswith("rows 1, 2: 'job' is 'baker'")


def test_cells_of_another_kind_are_refused_together(columns: Columns) -> None:
    with pytest.raises(UserError) as raised:
        encode([("old", "clerk", "soon")], columns)
    assert "row 0: 'old' in 'age' is not a number" in str(raised.value)
    assert "row 0: 'soon' in 'since' is not a date" in str(raised.value)


def test_no_rows_and_columns_of_one_sort_only() -> None:
    words = learn_columns(["w"], [("a",), ("a",)])
    batch = encode([("a",)], words).collate(np.array([0]))
    assert batch["numbers"].shape == (1, 0)
    assert batch["categories"].tolist() == [[2]]
    assert len(encode([], words)) == 0
    assert encode([("5",)], learn_columns(["n"], [(1,), (9,)])).categories.shape == (1, 0)


def test_reading_takes_the_columns_in_the_order_named() -> None:
    table = Table({"a": [1, 2], "b": ["x", "y"]}, (2, 3), "t.csv", "line")
    assert read(table, ("b", "a")) == [("x", 1), ("y", 2)]


def test_reading_names_all_faults_with_their_rows() -> None:
    table = Table({"a": [1, [2]]}, (2, 3), "t.csv", "line")
    with pytest.raises(UserError) as raised:
        read(table, ("a", "c"))
    assert "t.csv, line 3: 'a' holds a list" in str(raised.value)
    assert "column 'c' is not known" in str(raised.value)
