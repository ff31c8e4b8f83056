"""A JSON array of objects, one object of equally long arrays, or SQuAD's articles; numbers and lists keep their type.

Source: RFC 8259; SQuAD: Rajpurkar et al. 2016.
When: the examples come from a program that writes them in one go.
When not: large data, which jsonl and parquet hold better.
Relatives: jsonl.
"""

from __future__ import annotations

from pathlib import Path

from tunewright.core.errors import UserError
from tunewright.datasets.formats.decoding import read_text
from tunewright.datasets.formats.records import from_records
from tunewright.datasets.formats.squad import from_squad, is_squad
from tunewright.datasets.formats.strict_json import parse
from tunewright.datasets.table import Table

SUFFIXES = (".json",)


def read(path: Path) -> Table:
    """Rows are counted from 1."""
    content = parse(read_text(path), str(path))
    if is_squad(content):
        table = from_squad(content, str(path))
    elif isinstance(content, dict) and content and all(isinstance(values, list) for values in content.values()):
        longest = max(len(values) for values in content.values())
        table = Table(content, tuple(range(1, longest + 1)), str(path), "row")
    elif isinstance(content, list):
        table = from_records(content, range(1, len(content) + 1), str(path), "row")
    else:
        raise UserError(
            f"{path} holds one {type(content).__name__}", expected='a list of objects: [{"text": "…", "label": "…"}, …]'
        )
    if not len(table):
        raise UserError(f"{path} has no rows", expected="at least one row", try_="write the file again")
    return table
