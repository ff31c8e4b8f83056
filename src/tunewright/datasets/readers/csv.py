"""Comma-separated values with a header, in UTF-8 or UTF-16; every value stays the text it is.

Source: RFC 4180, sections 2.1 to 2.7.
When: the usual table of examples.
When not: values with a type or a structure of their own: use jsonl or parquet.
Relatives: tsv.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tunewright.datasets.formats.delimited import delimited_pieces, read_delimited
from tunewright.datasets.table import Table

SUFFIXES = (".csv",)


def read(path: Path) -> Table:
    return read_delimited(path, ",")


def pieces(path: Path, size: int) -> Iterator[Table]:
    return delimited_pieces(path, ",", size)
