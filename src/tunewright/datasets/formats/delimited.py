"""Strict reading of separated values: every row as long as the header, every value kept as it was written."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from tunewright.core.errors import UserError
from tunewright.core.types import Finding
from tunewright.datasets.formats.decoding import LONGEST_LINE, read_lines
from tunewright.datasets.numbers import as_number
from tunewright.datasets.table import Table, listed

_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
_REMEDIES = {
    "\t": "rename it to end in .tsv",
    ",": "rename it to end in .csv",
    ";": 'save it with commas, for example: python -c "import csv,sys; csv.writer(sys.stdout).writerows('
    "csv.reader(sys.stdin, delimiter=';'))\" < old.csv > new.csv",
    "|": "save it with commas",
}
_LONGEST_NAME = 64  # characters; a longer header is a sentence


def _parsed(path: Path, lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each row with the line on which it starts; blank lines are skipped."""
    try:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        start = 1
        for row in reader:
            if row:
                yield start, row
            start = reader.line_num + 1
    except csv.Error as error:
        unclosed = "unexpected end" in str(error) or "field limit" in str(error)
        what = "a quote opens here and is never closed" if unclosed else str(error)
        raise UserError(
            f"{path}, line {start}: {what}",
            expected='a field in "quotes" with inner quotes doubled ("")',
            try_=f"mend line {start}",
        ) from None


def _taken(rows: Iterator[tuple[int, list[str]]], size: int | None) -> list[tuple[int, list[str]]]:
    """The next rows; fields may be as long as any line."""
    limit = csv.field_size_limit(LONGEST_LINE)
    try:
        return list(islice(rows, size))
    finally:
        csv.field_size_limit(limit)


def _refuse_other_separator(path: Path, header: list[str], delimiter: str) -> None:
    if len(header) > 1:
        return
    for other in _NAMES:
        if other != delimiter and other in header[0]:
            raise UserError(
                f"{path}, line 1: the header is one field and looks separated by {_NAMES[other]}: '{header[0][:60]}'",
                expected=f"fields separated by {_NAMES[delimiter]}",
                try_=_REMEDIES[other],
            )


def _looks_like_a_sentence(cell: str) -> bool:
    return len(cell) > _LONGEST_NAME or cell.endswith((".", "?", "!")) or len(cell.split()) > 4


def _refuse_missing_header(path: Path, header: list[str], columns: dict[str, list[str]]) -> None:
    """A first row made of values would silently become names and cost one example."""
    numbers = [cell for cell in header if as_number(cell) is not None]
    sentences = [cell for cell in header if _looks_like_a_sentence(cell)]
    spaced = [cell for cell in header if " " in cell]
    repeated = [name for name, values in columns.items() if name in values]
    if numbers or sentences or (spaced and repeated):
        suspect = (numbers or sentences or repeated)[0]
        raise UserError(
            f"{path}, line 1: '{suspect[:60]}' looks like a value, not a column's name",
            expected="a header in the first line",
            try_="add one, such as: " + ("text,label" if len(header) == 2 else "a name for each column"),
        )


def _header(path: Path, cells: list[str]) -> tuple[list[str], list[Finding]]:
    """Names without outer space; an unnamed column (a saved index) gets a name of its own."""
    findings = []
    names = [cell.strip() for cell in cells]
    changed = [cell for cell, name in zip(cells, names, strict=True) if cell != name]
    if changed:
        message = f"{path}: space around {len(changed)} column names was removed: {listed(map(repr, changed))}"
        findings.append(Finding("header_space", message, "warning", rows=(1,), count=len(changed)))
    unnamed = [position for position, name in enumerate(names, 1) if not name]
    if len(unnamed) == len(names):
        raise UserError(
            f"{path}, line 1: no column has a name", expected="a header in the first line", try_="add one, such as: text,label"
        )
    for position in unnamed:
        names[position - 1] = f"unnamed_{position}"
    if unnamed:
        message = f"{path}: {len(unnamed)} columns have no name and are called {listed(f'unnamed_{n}' for n in unnamed)}"
        findings.append(Finding("header_unnamed", message, "note", count=len(unnamed)))
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise UserError(
            f"{path}, line 1: {listed(repr(name) for name in doubled)} names more than one column",
            expected="a different name for each column",
            try_="rename or remove one of them",
        )
    return names, findings


def _refuse_uneven(path: Path, rows: list[tuple[int, list[str]]], width: int) -> None:
    uneven = [(line, len(row)) for line, row in rows if len(row) != width]
    if not uneven:
        return
    line, length = uneven[0]
    others = f" (also lines {listed(number for number, _ in uneven[1:])})" if len(uneven) > 1 else ""
    if len(uneven) == len(rows) and all(found == length for _, found in uneven):
        remedy = (
            "add the missing name to the header (an unnamed first column is often a saved index)"
            if length > width
            else "mend the header"
        )
    else:
        remedy = f"put quotes around a field that holds the separator, or mend line {line}"
    raise UserError(
        f"{path}, line {line}: {length} fields where the header has {width}{others}",
        expected=f"{width} fields in every row",
        try_=remedy,
    )


def read_delimited(path: Path, delimiter: str) -> Table:
    """Read a file of separated values; anything doubtful is a ``UserError`` that names the line."""
    return next(delimited_pieces(path, delimiter, None))


def delimited_pieces(path: Path, delimiter: str, size: int | None) -> Iterator[Table]:
    """The same in tables of at most ``size`` rows, one after the other; what the header reveals is told with the first."""
    parsed = _parsed(path, read_lines(path), delimiter)
    cells = _taken(parsed, 1)[0][1]
    _refuse_other_separator(path, cells, delimiter)
    names, findings = _header(path, cells)
    rows = _taken(parsed, size)
    if not rows:
        raise UserError(
            f"{path} has a header and no rows", expected="at least one row below the header", try_="write the file again"
        )
    first = True
    while rows:
        _refuse_uneven(path, rows, len(names))
        columns = {name: [row[position] for _, row in rows] for position, name in enumerate(names)}
        if first:
            _refuse_missing_header(path, names, columns)
        yield Table(columns, tuple(line for line, _ in rows), str(path), "line", tuple(findings) if first else ())
        first, rows = False, _taken(parsed, size)
