"""One JSON object on each line; numbers and lists keep their type, identifiers every digit.

Source: RFC 8259 for each line; jsonlines.org for the file.
When: values have types or lists (several labels of a row), or lines are appended by a program.
When not: one large JSON array: name it .json.
Relatives: json, parquet.
"""

from __future__ import annotations

from pathlib import Path

from tunewright.core.errors import UserError
from tunewright.data.decoding import read_text
from tunewright.data.readers import json
from tunewright.data.records import from_records
from tunewright.data.strict_json import parse
from tunewright.data.table import Table

SUFFIXES = (".jsonl", ".ndjson")

_LONGEST_LINE = 32 * 2**20  # characters: far above any example, far below what a machine holds


def read(path: Path) -> Table:
    """A file that is one array is read as such; blank lines are skipped."""
    text = read_text(path)
    if text.lstrip()[0] == "[":
        return json.read(path)
    records, numbers = [], []
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > _LONGEST_LINE:
            raise UserError(
                f"{path}, line {number} is {len(line):,} characters long",
                expected=f"at most {_LONGEST_LINE:,}, one object on each line",
                try_=f"remove or split line {number}",
            )
        if line.strip():
            records.append(parse(line, str(path), line=number))
            numbers.append(number)
    return from_records(records, numbers, str(path), "line")
