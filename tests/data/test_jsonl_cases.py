"""The 20 ways in which a JSONL file is wrong or odd: refused (R) or accepted (A)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.data.examples import as_jsonl, rows, sentence
from tunewright.core.errors import UserError
from tunewright.datasets.prepare import prepare
from tunewright.datasets.read import read_table
from tunewright.datasets.table import Table

BASE = as_jsonl(rows())
LINES = BASE.splitlines()


def changed(line: int, content: str) -> bytes:
    """The base file with one line (counted from 1) replaced."""
    return ("\n".join([*LINES[: line - 1], content, *LINES[line:]]) + "\n").encode()


def row(**values: Any) -> str:
    return json.dumps({"text": sentence(500), "label": "pos"} | values)


REFUSED: list[tuple[str, bytes, tuple[str, ...]]] = [
    ("truncated object", changed(3, '{"text": "cut", "label": "pos"'), ("line 3", "not whole JSON", "mend or remove")),
    ("truncated string", changed(4, '{"text": "cut'), ("line 4", "not whole JSON", "mend or remove")),
    ("nested text", changed(5, row(text={"de": "Hallo"})), ("line 5", "'text' holds a dict", "one string")),
    ("list text", changed(6, row(text=["a", "b"])), ("line 6", "'text' holds a list", "one string")),
    ("missing key", changed(7, '{"text": "no label here"}'), ("line 7", "'label'", "null")),
    ("duplicate key", changed(8, '{"text": "a", "text": "b", "label": "pos"}'), ("line 8", "'text' occurs twice", "mend")),
    ("NaN", changed(9, '{"text": "a", "label": NaN}'), ("line 9", "NaN is not JSON", "null")),
    ("mixed label types", changed(10, row(label=1)), ("line 10", "number", "line 1", "different types")),
    ("lone surrogate", changed(11, '{"text": "a \\ud83d b", "label": "pos"}'), ("line 11", "half of a character", "mend")),
    (
        "depth 10,000",
        changed(12, '{"text": ' + "[" * 10_000 + "]" * 10_000 + ', "label": "pos"}'),
        ("line 12", "10001 deep", "mend"),
    ),
    (
        "100 MB line",
        changed(13, '{"text": "' + "x" * 100_000_000 + '", "label": "pos"}'),
        ("line 13", "more than 33,554,432", "split"),
    ),
    ("empty", b"", ("is empty", "write the file again")),
]


def is_base(table: Table) -> None:
    assert table.columns == {"text": [row["text"] for row in rows()], "label": [row["label"] for row in rows()]}


def with_blank_lines(table: Table) -> None:
    is_base(table)
    assert table.rows[:3] == (1, 4, 5)


def with_extra_key(table: Table) -> None:
    assert list(table.columns) == ["text", "label", "note"]
    assert len(table) == 24
    assert [value for value in table.columns["note"] if value is not None] == ["seen twice"]
    assert [(finding.code, finding.count) for finding in table.findings] == [("optional_keys", 1)]


def with_big_integer(table: Table) -> None:
    assert table.columns["label"][:2] == ["123456789012345678901234567890", "98765432109876543210"]


def with_dates(table: Table) -> None:
    assert table.columns["text"][1] == "2026-01-31T12:00:00Z"
    assert all(type(value) is str for value in table.columns["text"])


BIG = "".join(
    f'{{"text": "{sentence(n)}", "label": {[123456789012345678901234567890, 98765432109876543210][n % 2]}}}\n' for n in range(24)
)
ACCEPTED: list[tuple[str, bytes, Callable[[Table], None]]] = [
    ("no final newline", BASE.rstrip("\n").encode(), is_base),
    ("blank lines", BASE.replace("\n", "\n\n  \n", 1).encode(), with_blank_lines),
    ("BOM", BASE.encode("utf-8-sig"), is_base),
    ("array", json.dumps(rows(), indent=1).encode(), is_base),
    ("extra key", changed(14, row(note="seen twice")), with_extra_key),
    ("big integer", BIG.encode(), with_big_integer),
    ("date text", changed(2, row(text="2026-01-31T12:00:00Z")), with_dates),
    ("CRLF", BASE.replace("\n", "\r\n").encode(), is_base),
]


def write(folder: Path, content: bytes) -> Path:
    path = folder / "rows.jsonl"
    path.write_bytes(content)
    return path


def test_the_suite_counts_20_cases() -> None:
    names = [case[0] for suite in (REFUSED, ACCEPTED) for case in suite]
    assert len(names) == len(set(names)) == 20


@pytest.mark.parametrize(("content", "fragments"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refused(tmp_path: Path, content: bytes, fragments: tuple[str, ...]) -> None:
    path = write(tmp_path, content)
    started = time.process_time()
    with pytest.raises(UserError) as caught:
        prepare(train=path)
    assert time.process_time() - started < 5
    for fragment in ("rows.jsonl", *fragments):
        assert fragment in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(("content", "look"), [case[1:] for case in ACCEPTED], ids=[case[0] for case in ACCEPTED])
def test_accepted(tmp_path: Path, content: bytes, look: Callable[[Table], None]) -> None:
    path = write(tmp_path, content)
    look(read_table(path))
    assert len(prepare(train=path).train)


@pytest.mark.parametrize("spelling", ["Infinity", "-Infinity", "1e999"])
def test_infinity_is_refused_however_it_is_written(tmp_path: Path, spelling: str) -> None:
    with pytest.raises(UserError, match="line 2"):
        read_table(write(tmp_path, changed(2, f'{{"text": "a", "label": {spelling}}}')))


def test_numbers_and_lists_keep_their_type(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, b'{"a": 1, "b": 1.5, "c": true, "d": null, "e": ["x"], "f": "1"}\n'))
    assert {name: values[0] for name, values in table.columns.items()} == {
        "a": 1,
        "b": 1.5,
        "c": True,
        "d": None,
        "e": ["x"],
        "f": "1",
    }
    assert type(table.columns["a"][0]) is int


def test_line_separators_inside_strings_end_no_line(tmp_path: Path) -> None:
    content = changed(2, json.dumps({"text": "a\u2028b\x85c", "label": "pos"}, ensure_ascii=False))
    assert read_table(write(tmp_path, content)).columns["text"][1] == "a\u2028b\x85c"


def test_braces_inside_a_string_are_no_depth(tmp_path: Path) -> None:
    content = changed(2, row(text="{[" * 200 + '"\\'))
    assert read_table(write(tmp_path, content)).columns["text"][1].startswith("{[{[")


def test_the_search_for_depth_takes_linear_time(tmp_path: Path) -> None:
    started = time.process_time()
    with pytest.raises(UserError, match="line 2"):
        read_table(write(tmp_path, changed(2, "[" * 65 + '"' + '\\"' * 1_000_000)))
    assert time.process_time() - started < 3
