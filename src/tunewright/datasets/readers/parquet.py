"""A Parquet file; types are the file's own.

Source: the Apache Parquet format, read by pyarrow.
When: large data, or types that must survive.
When not: a few hundred rows that people edit by hand.
Relatives: datasets_folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tunewright.core.errors import UserError
from tunewright.datasets.formats.arrow import from_arrow
from tunewright.datasets.formats.decoding import read_bytes
from tunewright.datasets.table import Table

SUFFIXES = (".parquet",)


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).split("\n")[0][:200]
        raise UserError(f"{path} is not a whole Parquet file: {reason}", try_="write the file again") from None


def read(path: Path) -> Table:
    """Rows are counted from 1."""
    import pyarrow
    from pyarrow import parquet

    content = read_bytes(path)
    with _whole(path):
        arrow = parquet.read_table(pyarrow.BufferReader(content))
    return from_arrow(arrow, str(path))


def pieces(path: Path, size: int) -> Iterator[Table]:
    import pyarrow
    from pyarrow import parquet

    before = 0
    with _whole(path), parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(size):
            table = from_arrow(pyarrow.Table.from_batches([batch]), str(path))
            yield replace(table, rows=tuple(before + row for row in table.rows))
            before += len(table)
