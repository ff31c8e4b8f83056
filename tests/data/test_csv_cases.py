"""The 34 ways in which a CSV file is wrong or odd: refused (R), accepted (A), or accepted with a counted warning (W)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.data.examples import as_csv, rows, sentence
from tunewright.core.errors import UserError
from tunewright.datasets.prepare import DatasetSplits, prepare
from tunewright.datasets.read import read_table
from tunewright.datasets.readers.csv import read

BASE = as_csv(rows())
LINES = BASE.splitlines()
Refusal = tuple[str, bytes, dict[str, Any], tuple[str, ...]]


def text(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def changed(line: int, content: str) -> bytes:
    """The base file with one line (counted from 1) replaced."""
    return text([*LINES[: line - 1], content, *LINES[line:]])


def labeled(labels: tuple[str, ...], n: int = 24) -> bytes:
    return as_csv(rows(n, labels)).encode()


REFUSED: list[Refusal] = [
    ("empty", b"", {}, ("is empty", "0 bytes")),
    ("header only", b"text,label\n", {}, ("header and no rows",)),
    ("no header", text(LINES[1:]), {}, ("line 1", "not a column's name", "text,label")),
    ("latin-1", changed(4, "caf\u00e9 open,pos").replace("\u00e9".encode(), b"\xe9"), {}, ("line 4", "0xe9", "offset", "iconv")),
    (
        "bad byte",
        changed(3, "broken here,pos").replace(b"broken", b"bro\xffken"),
        {},
        ("line 3", "0xff", f"offset {len(LINES[0]) + len(LINES[1]) + 5}"),
    ),
    ("NUL", changed(5, "nul \0 inside,pos"), {}, ("line 5", "NUL")),
    ("short row", changed(6, "only a text"), {}, ("line 6", "1 fields", "header has 2")),
    ("long row", changed(7, "a text, with a comma,pos"), {}, ("line 7", "3 fields", "quotes")),
    (
        "all rows long",
        text([LINES[0], *(f"{n},{line}" for n, line in enumerate(LINES[1:]))]),
        {},
        ("line 2", "3 fields", "saved index"),
    ),
    ("unclosed quote", changed(8, '"never closed,pos'), {}, ("line 8", "never closed")),
    ("duplicate header", changed(1, "text,text"), {}, ("line 1", "'text'", "more than one column", "rename")),
    (
        "no text column",
        as_csv([{"a": n * n, "label": n % 2} for n in range(24)]).encode(),
        {},
        ("no text column", "'a'", "--text"),
    ),
    (
        "no label column",
        as_csv([{"text": sentence(n)} for n in range(24)]).encode(),
        {},
        ("no target column", "'text'", "--target"),
    ),
    (
        "all text empty",
        as_csv([{"text": "", "label": n % 2} for n in range(24)]).encode(),
        {"text": "text", "target": "label"},
        ("text of all 24 rows", "--text"),
    ),
    ("label empty", changed(9, f"{sentence(99)},"), {}, ("line 9", "no label", "fill them in")),
    ("1 and 1.0", labeled(("1", "1.0", "2")), {}, ("same number", "'1'", "'1.0'", "line 2", "line 3")),
    ("single class", labeled(("pos",)), {}, ("'pos'", "two different targets", "--target")),
    (
        "1 per class",
        as_csv(rows(12, tuple(f"class {n}" for n in range(12)))).encode(),
        {},
        ("12 labels", "only one row", "add rows"),
    ),
]


def train_target_sums(found: DatasetSplits) -> list[int]:
    return sorted(n for part in (found.train, found.validation, found.test) for n in part.numbers.tolist())


def all_texts(found: DatasetSplits) -> set[str]:
    return {text for part in (found.train, found.validation, found.test) for (text,) in part.inputs}


def is_base(found: DatasetSplits) -> None:
    assert all_texts(found) == {row["text"] for row in rows()}
    assert found.labels.names == ("neg", "pos")


def has_names(*names: str) -> Callable[[DatasetSplits], None]:
    def look(found: DatasetSplits) -> None:
        assert found.labels.names == names

    return look


def has_quoted_newline(found: DatasetSplits) -> None:
    assert "two\nlines, really" in all_texts(found)
    # the row after the one that spans lines 3 and 4 starts on line 5
    assert train_target_sums(found) == [2, 3, *range(5, 27)]


def has_big_field(found: DatasetSplits) -> None:
    assert max(map(len, all_texts(found))) == 2_000_000


BIG = "word and " * 222_222 + "an"
ACCEPTED: list[tuple[str, bytes, Callable[[DatasetSplits], None]]] = [
    ("BOM", BASE.encode("utf-8-sig"), is_base),
    ("UTF-16", BASE.encode("utf-16"), is_base),
    ("quoted newline", changed(3, '"two\nlines, really",pos'), has_quoted_newline),
    ("CR", BASE.replace("\n", "\r").encode(), is_base),
    (
        "mixed end of line",
        "".join(line + end for line, end in zip(LINES, ["\n", "\r\n", "\r"] * 9, strict=False)).encode(),
        is_base,
    ),
    ("2 MB field", changed(2, f"{BIG},pos"), has_big_field),
    ("labels NA, None, null", labeled(("NA", "None", "null", "nan")), has_names("NA", "None", "nan", "null")),
    ("007", labeled(("007", "42")), has_names("007", "42")),
]

WARNED: list[tuple[str, bytes, dict[str, Any], str, int]] = [
    ("header case and space", changed(1, " Text ,LABEL "), {"text": "text", "target": "label"}, "header_space", 2),
    ("some texts empty", text([*LINES, ",pos", ",neg", " ,pos"]), {}, "empty_text", 3),
    (
        "pos, POS and space",
        text([*LINES, *(f"{sentence(50 + n)},{label}" for n, label in enumerate([" pos", "POS"] * 4))]),
        {},
        "label_variants",
        3,
    ),
    ("duplicates", text([*LINES, LINES[3], LINES[3], LINES[8]]), {}, "exact_duplicates", 3),
    ("conflicting labels", text([*LINES, f"{sentence(0)},pos", f"{sentence(1)},neg"]), {}, "conflicting_labels", 4),
]

OTHERS = ("separated by semicolons or tabs", "unseen label in validation", "another kind of file renamed")
IDS = [case[0] for suite in (REFUSED, ACCEPTED, WARNED) for case in suite] + list(OTHERS)


def write(folder: Path, content: bytes, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def refused(path: Path, named: dict[str, Any], fragments: tuple[str, ...]) -> UserError:
    started = time.process_time()
    with pytest.raises(UserError) as caught:
        prepare(train=path, **named)
    message = str(caught.value)
    assert time.process_time() - started < 5
    assert path.name in message
    for fragment in fragments:
        assert fragment in message
    assert "Expected" in message or "Try" in message
    return caught.value


def test_the_suite_counts_34_cases() -> None:
    assert len(IDS) == len(set(IDS)) == 34


def test_control_a_sound_file_is_accepted_without_a_warning_about_it(tmp_path: Path) -> None:
    found = prepare(train=write(tmp_path, BASE.encode()))
    is_base(found)
    assert {finding.code for finding in found.findings} == {"tiny_data"}


@pytest.mark.parametrize(("content", "named", "fragments"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refused(tmp_path: Path, content: bytes, named: dict[str, Any], fragments: tuple[str, ...]) -> None:
    refused(write(tmp_path, content), named, fragments)


@pytest.mark.parametrize(("content", "look"), [case[1:] for case in ACCEPTED], ids=[case[0] for case in ACCEPTED])
def test_accepted(tmp_path: Path, content: bytes, look: Callable[[DatasetSplits], None]) -> None:
    look(prepare(train=write(tmp_path, content)))


@pytest.mark.parametrize(("content", "named", "code", "count"), [case[1:] for case in WARNED], ids=[case[0] for case in WARNED])
def test_accepted_with_a_counted_warning(tmp_path: Path, content: bytes, named: dict[str, Any], code: str, count: int) -> None:
    found = prepare(train=write(tmp_path, content), **named)
    warnings = [finding for finding in found.findings if finding.code == code]
    assert warnings
    assert sum(finding.count for finding in warnings) == count
    assert all(finding.level == "warning" and "rows.csv" in finding.message for finding in warnings)


def test_separated_by_semicolons_or_tabs_is_refused_with_a_hint(tmp_path: Path) -> None:
    semicolons = write(tmp_path, as_csv(rows(), delimiter=";").encode(), "semicolons.csv")
    refused(semicolons, {}, ("line 1", "semicolons", "commas"))
    tabs = write(tmp_path, as_csv(rows(), delimiter="\t").encode(), "tabs.csv")
    refused(tabs, {}, ("line 1", "tabs", ".tsv"))


def test_unseen_label_in_validation_is_refused(tmp_path: Path) -> None:
    train = write(tmp_path, BASE.encode())
    validation = write(tmp_path, as_csv(rows(6, ("neg", "poss"))).encode(), "validation.csv")
    with pytest.raises(UserError) as caught:
        prepare(train=train, validation=validation)
    message = str(caught.value)
    for fragment in ("validation.csv", "lines 3, 5, 7", "'poss'", "Did you mean 'pos'", "mend"):
        assert fragment in message


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"PK\x03\x04", "Excel"), (b"\x1f\x8b\x08", "gzip"), (b"<!DOCTYPE html>\n<html>", "HTML")],
    ids=["xlsx", "gz", "html"],
)
def test_another_kind_of_file_renamed_is_refused(tmp_path: Path, start: bytes, kind: str) -> None:
    refused(write(tmp_path, start + b"\x00\xff rest of it"), {}, (kind, ".csv", "Try"))


def test_header_case_alone_is_warned_about_too(tmp_path: Path) -> None:
    found = prepare(train=write(tmp_path, changed(1, "Text,LABEL")), text="text", target="label")
    assert sum(finding.count for finding in found.findings if finding.code == "column_case") == 2


def test_values_stay_the_strings_they_are(tmp_path: Path) -> None:
    values = ["007", "NA", "true", "1.0", "1e5", " x", '"q"']
    table = read(write(tmp_path, as_csv([{"text": f"t {n}", "v": value} for n, value in enumerate(values)]).encode()))
    assert table.columns["v"] == values
    assert table.rows == tuple(range(2, 9))


def test_unnamed_index_column_is_kept_apart_and_ignored(tmp_path: Path) -> None:
    lines = [f",{LINES[0]}", *(f"{number},{line}" for number, line in enumerate(LINES[1:]))]
    found = prepare(train=write(tmp_path, text(lines)))
    assert found.schema.ignored == ("unnamed_1",)
    assert any("Ignored columns: 'unnamed_1'" in said for said in found.said)


def test_tsv_is_read_with_the_same_strictness(tmp_path: Path) -> None:
    path = write(tmp_path, as_csv(rows(), delimiter="\t").encode(), "rows.tsv")
    assert read_table(path).columns["text"] == [row["text"] for row in rows()]
    with pytest.raises(UserError, match=r"\.csv"):
        read_table(write(tmp_path, BASE.encode(), "commas.tsv"))
