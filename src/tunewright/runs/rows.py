"""Rows that came from Python are kept with the run, so that it can be resumed and reproduced without the program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tunewright.core.files import write_text
from tunewright.data.read import read_table


def keep_rows(folder: Path, name: str, data: Any) -> str:
    """Write Python data as ``data/<name>.jsonl`` below ``folder``; returns the path relative to it."""
    table = read_table(data)
    columns = list(table.columns)
    lines = (
        json.dumps({column: _plain(table.columns[column][row]) for column in columns}, ensure_ascii=False)
        for row in range(len(table))
    )
    path = Path("data") / f"{name}.jsonl"
    write_text(folder / path, "".join(line + "\n" for line in lines))
    return str(path)


def _plain(value: Any) -> Any:
    """NumPy scalars as Python's own; everything else as it is."""
    return value.item() if hasattr(value, "item") else value
