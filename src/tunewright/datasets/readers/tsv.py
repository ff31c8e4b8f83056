"""Tab-separated values with a header; every value stays the text it is.

Source: the media type text/tab-separated-values (IANA), with the quoting of RFC 4180.
When: the texts hold many commas.
When not: the texts hold tabs.
Relatives: csv.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tunewright.datasets.formats.delimited import delimited_pieces, read_delimited
from tunewright.datasets.table import Table

SUFFIXES = (".tsv", ".tab")


def read(path: Path) -> Table:
    return read_delimited(path, "\t")


def pieces(path: Path, size: int) -> Iterator[Table]:
    return delimited_pieces(path, "\t", size)
