"""Rows that came from Python are kept with the run, so that it can be resumed and reproduced without the program.

The bytes of picture files become files beside the table.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tunewright.core.files import write_text
from tunewright.datasets.read import read_table
from tunewright.modalities.image.modality import holds_picture

_JPEG = b"\xff\xd8"  # what its files start with; other pictures are called PNG, and known by their content


def keep_rows(folder: Path, name: str, data: Any) -> str:
    """Write Python data as ``data/<name>.jsonl`` below ``folder``; returns the path relative to it."""
    table = read_table(data)
    path = Path("data") / f"{name}.jsonl"
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    columns = {
        column: [_kept(cell, folder / "data", f"{name}/{place}-{row}") for row, cell in enumerate(cells)]
        for place, (column, cells) in enumerate(table.columns.items())
    }
    lines = (
        json.dumps({column: cells[row] for column, cells in columns.items()}, ensure_ascii=False) for row in range(len(table))
    )
    write_text(folder / path, "".join(line + "\n" for line in lines))
    return str(path)


def _kept(value: Any, folder: Path, name: str) -> Any:
    """A value as JSON holds it; a picture's bytes as a file below ``folder``, the path of one from the root."""
    if isinstance(value, dict) and isinstance(value.get("bytes"), bytes):  # a picture of the datasets library
        value = value["bytes"]
    if isinstance(value, bytes):
        path = Path(f"{name}.jpg" if value.startswith(_JPEG) else f"{name}.png")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(value)
        return path.as_posix()
    if isinstance(value, str) and holds_picture(value) and Path(value).is_file():
        return str(Path(value).resolve())
    return str(value.resolve()) if isinstance(value, Path) else _plain(value)


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays as Python's own, those of a sound in a dictionary too; everything else as it is."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if hasattr(value, "item") else value
