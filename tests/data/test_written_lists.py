"""Lists that programs wrote as text are read as lists, never evaluated, and refused where their items are lost."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunewright.core.errors import UserError
from tunewright.datasets.prepare import label_rows, prepare
from tunewright.datasets.read import read_table
from tunewright.datasets.written_lists import is_broken, items_of, texts_of

ODD = ["it's", 'say "hi"', "a, b", "[x]", "back\\slash", "line\nbreak", "Göteborg", "😀", "", " "]


@pytest.mark.parametrize(
    ("cell", "items"),
    [
        ("['EU', 'rejects']", ("EU", "rejects")),
        ('["EU", "rejects"]', ("EU", "rejects")),
        ("['EU' 'rejects'\n 'German']", ("EU", "rejects", "German")),
        ("('a', 'b')", ("a", "b")),
        ("('a',)", ("a",)),
        ("{'a', 'b'}", ("a", "b")),
        (" [ 'a' , 'b' , ] ", ("a", "b")),
        ("[]", ()),
        ("[1, 2.5, -3]", (1, 2.5, -3)),
        ("[0 3 7]", (0, 3, 7)),
        ("[True, False]", (True, False)),
        ("[123456789012345678901234567890]", ("123456789012345678901234567890",)),
        (r'["\ud83d\ude00"]', ("😀",)),
        (repr(ODD), tuple(ODD)),
        (json.dumps(ODD), tuple(ODD)),
        (str(np.array(["a b", "c's", "d"])), ("a b", "c's", "d")),
    ],
)
def test_lists_are_read(cell: str, items: tuple[Any, ...]) -> None:
    assert items_of(cell) == items
    assert not is_broken(cell)


@pytest.mark.parametrize(
    "cell",
    [
        "a, b",
        "[laughs]",
        "[a, b]",
        "('quoted')",
        "()",
        "{}",
        "{'a': 1}",
        "[['a'], ['b']]",
        "['a', None]",
        "['a', nan]",
        "[np.str_('a')]",
        "['a', __import__('os').getcwd()]",
        "['a' + 'b']",
        "['a''b']",
        "['a', 'b'",
        "['a' 'b' ... 'z']",
        r"['\ud800']",
        r"['\x']",
        "[1e]",
        "[" * 10_000 + "]" * 10_000,
        5,
        None,
        ["a"],
    ],
)
def test_what_is_no_list_of_plain_values_is_none(cell: Any) -> None:
    assert items_of(cell) is None


def test_only_lists_with_strings_are_texts() -> None:
    assert texts_of("['It', 5]") == ("It", "5")
    assert texts_of("[1]") is texts_of("[]") is texts_of("see [1]") is None


def test_what_was_a_list_and_cannot_be_read_is_told_from_other_text() -> None:
    for cell in ("['a' 'b' ... 'z']", "['a', None]", "[np.str_('a')]", '["a", "b]'):
        assert is_broken(cell)
    for cell in ("[laughs]", "[a, b]", "a", "", None, "[[citation needed]]", "['a', 'b']"):
        assert not is_broken(cell)
    assert is_broken("[a, b]", bare=True)
    assert is_broken("[0 1 ... 7]", bare=True)
    assert not is_broken("[laughs]", bare=True)


def test_reading_takes_linear_time() -> None:
    started = time.process_time()
    for cell in (
        "['" + "\\" * 1_000_001,
        "[" + "'a', " * 200_000 + "x y]",
        "[" + " " * 1_000_000 + "x",
        "['" + "a" * 1_000_000 + "]",
    ):
        assert items_of(cell) is None
    assert len(items_of("[" + "'a', " * 200_000 + "]") or ()) == 200_000
    assert time.process_time() - started < 5


WORDS = [["the", "parcel", "of", ["Ann", "Bob", "Eve's"][n % 3], str(n), "came"][: 4 + n % 3] for n in range(40)]
TAGS = [["O", "O", "O", "B-PER", "O", "O"][: len(row)] for row in WORDS]
NUMPY = {"numpy": lambda row: str(np.array(row))}
WRITERS = {"python": repr, "json": json.dumps, **NUMPY}


def as_file(path: Path, columns: dict[str, list[str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


@pytest.mark.parametrize("how", WRITERS)
def test_words_and_tags_that_were_written_as_text_are_read(tmp_path: Path, how: str) -> None:
    write = WRITERS[how]
    path = as_file(tmp_path / "rows.csv", {"tokens": [*map(write, WORDS)], "ner_tags": [*map(write, TAGS)]})
    found = prepare(train=path, near_duplicates="ignore")
    plain = prepare(train={"tokens": WORDS, "ner_tags": TAGS}, near_duplicates="ignore")
    assert found.labels.names == plain.labels.names == ("O", "B-PER")
    assert found.train.inputs == plain.train.inputs
    assert [row.tolist() for row in found.train.targets] == [row.tolist() for row in plain.train.targets]
    assert [(one.code, one.count) for one in found.findings if one.code == "written_lists"] == [("written_lists", 40)]
    assert not [one for one in plain.findings if one.code == "written_lists"]


def test_test_rows_and_rows_to_evaluate_may_be_written_otherwise(tmp_path: Path) -> None:
    other = as_file(tmp_path / "test.csv", {"tokens": [*map(repr, WORDS)], "ner_tags": [*map(json.dumps, TAGS)]})
    found = prepare(train={"tokens": WORDS, "ner_tags": TAGS}, test=other, near_duplicates="ignore")
    rows = label_rows(read_table(other), found.schema, found.labels)
    assert found.test.inputs == rows.inputs == [(tuple(row),) for row in WORDS]


@pytest.mark.parametrize(("column", "cell"), [("tokens", "['the' 'parcel' ... 'came']"), ("ner_tags", "[O, O, O, O]")])
def test_lists_whose_items_are_lost_are_refused_with_their_row(tmp_path: Path, column: str, cell: str) -> None:
    columns = {"tokens": [*map(repr, WORDS)], "ner_tags": [*map(repr, TAGS)]}
    columns[column][6] = cell
    with pytest.raises(UserError, match=r"line 8: .*cannot be read"):
        prepare(train=as_file(tmp_path / "rows.csv", columns), task="token_classification", text="tokens", target="ner_tags")


def test_words_that_are_strings_with_brackets_stay_as_they_are() -> None:
    words = [f"see [ {n} ] and [laughs]" for n in range(30)]
    found = prepare(
        train={"w": [*words, "[ 7 ]"], "t": ["O O O B-X O O"] * 30 + ["O O B-X"]},
        text="w",
        target="t",
        task="token_classification",
    )
    assert max(len(row[0]) for row in found.train.inputs) == 6


def test_a_list_is_no_class() -> None:
    rows = {"text": [f"a text with number {n}" for n in range(30)], "label": ["['a', 'b']", "['a']", "['b']"] * 10}
    with pytest.raises(UserError, match="is a list that was written as text"):
        prepare(train=rows, task="classification")
    assert prepare(train=rows).labels.names == ("a", "b")
    bracketed = {**rows, "label": ["[a]", "[b]", "c"] * 10}
    assert prepare(train=bracketed).labels.names == ("[a]", "[b]", "c")
