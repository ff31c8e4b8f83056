"""A Parquet file; types are the file's own.

Source: the Apache Parquet format, read by pyarrow.
When: large data, or types that must survive.
When not: a few hundred rows that people edit by hand.
Relatives: datasets_folder.
"""

from __future__ import annotations

from pathlib import Path

from tunewright.core.errors import UserError
from tunewright.data.arrow import from_arrow
from tunewright.data.decoding import read_bytes
from tunewright.data.table import Table

SUFFIXES = (".parquet",)


def read(path: Path) -> Table:
    """Rows are counted from 1."""
    import pyarrow
    from pyarrow import parquet

    content = read_bytes(path)
    try:
        arrow = parquet.read_table(pyarrow.BufferReader(content))
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).split("\n")[0][:200]
        raise UserError(f"{path} is not a whole Parquet file: {reason}", try_="write the file again") from None
    return from_arrow(arrow, str(path))
