"""A table's rows written again: what is kept is copied as it stands in its file, and only cells that changed are new.

Source: RFC 4180, sections 2.5 to 2.7 (quotes); jsonlines.org.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunewright.core.errors import UserError
from tunewright.core.outputs import write_output
from tunewright.datasets.formats.decoding import PACKED, read_lines
from tunewright.datasets.table import Table

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON = (".jsonl", ".ndjson")
_END = re.compile(r"[\r\n]+\Z")

Cells = Mapping[int, Mapping[str, Any]]  # of a row's index, the new value of each column that changed


def format_of(path: Path) -> str:
    """The ending that says how a file is written; '' where none does."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [PACKED]:
        suffixes.pop()
    return suffixes[-1] if suffixes and suffixes[-1] in (*_DELIMITERS, *_JSON) else ""


def refuse_format(out: Path) -> None:
    if not format_of(out):
        known = ", ".join((*_DELIMITERS, *_JSON))
        raise UserError(
            f"{out}: tables are not written as '{out.suffix}'", expected=f"a name that ends in {known}, or such with {PACKED}"
        )


def write_rows(table: Table, source: Any, out: Path, kept: Sequence[int], changed: Cells) -> None:
    """Write the kept rows (indices, ascending) to ``out``, whole or not at all; ``source`` is what the table was read from."""
    written, path = format_of(out), Path(source) if isinstance(source, (str, Path)) else None
    same = path is not None and path.is_file() and format_of(path) == written and table.unit == "line"
    if written in _DELIMITERS:
        delimiter = _DELIMITERS[written]
        pieces = (
            _same_delimited(table, path, kept, changed, delimiter)
            if same and path
            else _delimited(table, kept, changed, delimiter)
        )
    else:
        pieces = _same_json(table, path, kept, changed) if same and path else _json(table, kept, changed)
    content = "".join(pieces).encode("utf-8")
    write_output(out, gzip.compress(content, mtime=0) if out.suffix.lower() == PACKED else content)


def _records(table: Table, path: Path) -> tuple[str, list[str]]:
    """What stands before the first row, and each row with all its lines, blank ones behind it too."""
    lines = list(read_lines(path))
    starts = [number - 1 for number in table.rows]
    ends = [*starts[1:], len(lines)]
    return "".join(lines[: starts[0]]), ["".join(lines[start:end]) for start, end in zip(starts, ends, strict=True)]


def _joined(before: str, records: Iterable[str]) -> Iterable[str]:
    """A last row without an end of line gets one where another follows it."""
    last = before
    yield before
    for record in records:
        if last and not last.endswith(("\n", "\r")):
            yield "\n"
        yield record
        last = record


def _same_delimited(table: Table, path: Path, kept: Sequence[int], changed: Cells, delimiter: str) -> Iterable[str]:
    before, records = _records(table, path)
    names = list(table.columns)
    for index, cells in changed.items():
        fields, end = raw_fields(records[index], delimiter)
        for name, value in cells.items():
            place = names.index(name)
            fields[place] = _quoted(str(value), delimiter, always=fields[place].startswith('"'))
        records[index] = delimiter.join(fields) + end
    return _joined(before, (records[index] for index in kept))


def raw_fields(record: str, delimiter: str) -> tuple[list[str], str]:
    """The fields of a row as they are written, quotes included, and what ends the row."""
    fields, start, place, inside = [], 0, 0, False
    stop = _END.search(record)
    body = record[: stop.start()] if stop else record
    while place < len(body):
        character = body[place]
        if inside:
            inside = character != '"'  # the second of two quotes opens again
        elif character == '"' and body[start] == '"':
            inside = True
        elif character == delimiter:
            fields.append(body[start:place])
            start = place + 1
        place += 1
    return [*fields, body[start:]], record[len(body) :]


def _quoted(text: str, delimiter: str, *, always: bool) -> str:
    needed = always or any(mark in text for mark in (delimiter, '"', "\n", "\r"))
    return '"' + text.replace('"', '""') + '"' if needed else text


def _same_json(table: Table, path: Path, kept: Sequence[int], changed: Cells) -> Iterable[str]:
    lines = list(read_lines(path, newline="\n"))
    for index, cells in changed.items():
        number = table.rows[index] - 1
        end = _END.search(lines[number])
        lines[number] = json.dumps(json.loads(lines[number]) | dict(cells), ensure_ascii=False) + (end[0] if end else "")
    return _joined("", (lines[table.rows[index] - 1] for index in kept))


def _delimited(table: Table, kept: Sequence[int], changed: Cells, delimiter: str) -> Iterable[str]:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerow(table.columns)
    for index in kept:
        cells = [changed.get(index, {}).get(name, values[index]) for name, values in table.columns.items()]
        nested = [name for name, cell in zip(table.columns, cells, strict=True) if isinstance(cell, (list, tuple, dict, bytes))]
        if nested:
            raise UserError(
                f"{table.where([index])}: '{nested[0]}' holds more than one value", expected="a name that ends in .jsonl"
            )
        writer.writerow(["" if cell is None else cell for cell in cells])
    return [out.getvalue()]


def _json(table: Table, kept: Sequence[int], changed: Cells) -> Iterable[str]:
    for index in kept:
        row = {name: values[index] for name, values in table.columns.items()} | dict(changed.get(index, {}))
        try:
            yield json.dumps(row, ensure_ascii=False) + "\n"
        except TypeError as error:
            raise UserError(f"{table.where([index])}: {error}", expected="texts, numbers and lists") from None
