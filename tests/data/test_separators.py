"""Labels of a row that are one text are split where the rows tell at what, and asked about where they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.data.examples import sentence
from tunewright.cli.main import app
from tunewright.core.errors import UserError
from tunewright.datasets.prepare import label_rows, prepare
from tunewright.datasets.read import read_table
from tunewright.datasets.schema import Schema, guess_schema
from tunewright.datasets.table import Table

CELLS = ["billing, delivery", "billing", "delivery,login", "login", "billing , login", ""]


def rows(cells: list[Any], count: int = 36) -> dict[str, list[Any]]:
    return {"text": [sentence(n) for n in range(count)], "labels": [cells[n % len(cells)] for n in range(count)]}


def table(cells: list[Any]) -> Table:
    columns = rows(cells)
    return Table(columns, tuple(range(len(columns["text"]))), "rows.csv")


@pytest.mark.parametrize("sign", [",", ";"])
def test_labels_are_split_where_they_recur(sign: str) -> None:
    found = prepare(train=rows([cell.replace(",", sign) for cell in CELLS]), task="multi_label")
    assert found.labels.names == ("billing", "delivery", "login")
    assert f"Labels are separated by {sign!r} (guessed)." in found.said
    assert found.schema.separator == sign
    assert Schema.from_dict(found.schema.as_dict()).separator == sign


@pytest.mark.parametrize("sign", [",", ";"])
def test_what_may_be_one_class_or_several_labels_is_asked(sign: str) -> None:
    cells = [cell.replace(",", sign) for cell in CELLS if cell]
    with pytest.raises(UserError) as caught:
        prepare(train=rows(cells))
    for fragment in ("--task multi_label", "--task classification", repr(sign)):
        assert fragment in str(caught.value)
    assert len(prepare(train=rows(cells), task="classification").labels.names) == 5


@pytest.mark.parametrize("cells", [["Food, drink", "Home, garden"], ["Food, drink", "Food"], ["a; b", "c; d, e"]])
def test_a_separator_that_is_not_certain_has_to_be_named(cells: list[str]) -> None:
    assert guess_schema(table(cells)).task == "classification"  # nothing recurs: class names have commas
    with pytest.raises(UserError) as caught:
        guess_schema(table(cells), task="multi_label")
    for fragment in ("one label or several", "data.separator", "--separator '|'"):
        assert fragment in str(caught.value)
    whole = prepare(train=rows(cells), separator="|")
    assert whole.labels.names == tuple(sorted(cells))
    parted = prepare(train=rows(cells), separator=cells[0][cells[0].index(" ") - 1])
    assert len(parted.labels.names) > len(set(cells)) - 1
    assert not set(cells[:1]) & set(parted.labels.names)


def test_two_separators_in_one_column_are_asked_about() -> None:
    with pytest.raises(UserError, match="one label or several"):
        guess_schema(table(["a|b", "a, b", "a", "b"]))
    with pytest.raises(UserError, match="one label or several"):
        guess_schema(table(["a;b", "a, b", "a", "b"]), task="multi_label")
    assert guess_schema(table(["a|b", "a", "b, c"])).separator == "|"  # the control: 'b, c' is one name


def test_bars_and_lists_need_no_name() -> None:
    for cells in (["a|b", "a", "b"], [["a", "b"], ["a"], ["b"]], ["['a', 'b']", "['a']", "b"], ['["a","b"]', "[]", '["b"]']):
        found = prepare(train=rows(cells))
        assert found.labels.names == ("a", "b")
        assert found.schema.task == "multi_label"


def test_lists_as_text_are_said() -> None:
    assert (
        "Labels of 24 rows are lists that were written as text, and are read as lists."
        in prepare(train=rows(["['a', 'b']", "['a']", "b"])).said
    )


@pytest.mark.parametrize("cell", ["['a' 'b' ... 'c']", "['a', None]", "[a, b]"])
def test_lists_that_cannot_be_read_are_refused_with_their_rows(cell: str) -> None:
    with pytest.raises(UserError, match=r"row.*cannot be read"):
        prepare(train=rows(["['a']", cell, "['b']"]))


def test_held_out_rows_may_be_lists_but_not_separated_otherwise(tmp_path: Path) -> None:
    train, other = rows(CELLS), tmp_path / "test.csv"
    lists = rows([str([part.strip() for part in cell.split(",") if part.strip()]) for cell in CELLS])
    found = prepare(train=train, test=lists, task="multi_label", near_duplicates="ignore")
    again = prepare(train=train, test=train, task="multi_label", near_duplicates="ignore")
    assert found.test.targets.tolist() == again.test.targets.tolist()
    other.write_text("text,labels\nthe card,billing;delivery\n")
    with pytest.raises(UserError, match="'billing;delivery' is not among the 3 labels"):
        label_rows(read_table(other), found.schema, found.labels)
    other.write_text('text,labels\nthe card,"billing, delivery"\n')
    assert label_rows(read_table(other), found.schema, found.labels).targets.tolist() == [[1, 1, 0]]


def test_a_run_that_was_saved_before_separators_had_names_reads_bars() -> None:
    saved = guess_schema(table(["a|b", "a"])).as_dict()
    del saved["separator"]
    assert Schema.from_dict(saved).separator == "|"


def test_a_separator_is_for_several_labels_alone() -> None:
    with pytest.raises(UserError, match="a row of classification has one target"):
        prepare(train=rows(CELLS[:2]), task="classification", separator=",")


def test_the_separator_is_an_option_and_a_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rows.csv"
    columns = rows(["Food/drink", "Home"])
    lines = [f"{text},{label}" for text, label in zip(columns["text"], columns["labels"], strict=True)]
    path.write_text("\n".join(["text,labels", *lines]) + "\n")
    for how in (["--separator", "/"], ["--set", "data.separator=/"], ["--separator", "|"]):
        with pytest.raises(SystemExit) as ended:
            app(["check", str(path), *how])
        assert ended.value.code == 0
        assert f"Labels are separated by {how[1][-1]!r} (as named)." in "".join(capsys.readouterr())
