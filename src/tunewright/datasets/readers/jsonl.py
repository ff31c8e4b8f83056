"""One JSON object on each line; numbers and lists keep their type, identifiers every digit.

Source: RFC 8259 for each line; jsonlines.org for the file.
When: values have types or lists (several labels of a row), or lines are appended by a program.
When not: one large JSON array: name it .json.
Relatives: json, parquet.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from tunewright.core.errors import UserError
from tunewright.datasets.formats.decoding import read_lines
from tunewright.datasets.formats.records import from_records
from tunewright.datasets.formats.strict_json import parse
from tunewright.datasets.readers import json
from tunewright.datasets.table import Table

SUFFIXES = (".jsonl", ".ndjson")


def _is_array(path: Path) -> bool:
    return next(line for line in read_lines(path, newline="\n") if line.strip()).lstrip()[0] == "["


def _records(path: Path) -> Iterator[tuple[int, Any]]:
    """Each line's object with its number; blank lines are skipped."""
    for number, line in enumerate(read_lines(path, newline="\n"), 1):
        if line.strip():
            yield number, parse(line, str(path), line=number)


def read(path: Path) -> Table:
    """A file that is one array is read as such; blank lines are skipped."""
    if _is_array(path):
        return json.read(path)
    numbers, records = zip(*_records(path), strict=True)
    return from_records(records, numbers, str(path), "line")


def pieces(path: Path, size: int) -> Iterator[Table]:
    """The first piece's keys are the columns: one that comes later is ignored, and told."""
    if _is_array(path):
        raise UserError(f"{path} is one JSON array, which cannot be read in pieces", expected="one object on each line")
    found, needed, names = _records(path), None, None
    while rows := list(islice(found, size)):
        numbers, records = zip(*rows, strict=True)
        table = from_records(records, numbers, str(path), "line", needed=needed, names=names)
        needed, names = needed or list(records[0]), names or list(table.columns)
        yield table
