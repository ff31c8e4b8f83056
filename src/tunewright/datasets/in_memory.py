"""From what Python programs hold (DataFrame, Dataset, lists, dicts, texts with labels) to a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tunewright.core.errors import UserError
from tunewright.datasets.formats.arrow import plain
from tunewright.datasets.formats.image_files import as_png
from tunewright.datasets.formats.records import from_records
from tunewright.datasets.media import UnreadableError
from tunewright.datasets.readers.datasets_folder import from_splits
from tunewright.datasets.table import Table

_ACCEPTED = (
    "a file, a folder, a hub id, a DataFrame, a datasets.Dataset, a list of dicts, a dict of lists, a list of texts, "
    "(texts, labels), or (arrays of images, labels)"
)


def _library(value: Any) -> str:
    return type(value).__module__.split(".")[0]


def _cells(values: Any) -> list[Any]:
    """Values as a table has them; pixels as the file that a run keeps of them, so that both have one digest."""
    return [_as_file(value) if getattr(value, "ndim", 0) > 1 else plain(value) for value in values]


def _as_file(pixels: Any) -> Any:
    try:
        return as_png(pixels)
    except UnreadableError:
        return pixels  # refused later, with its row


def _from_frame(frame: Any) -> Table:
    names = [str(name) for name in frame.columns]
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise UserError(f"the DataFrame has the column '{doubled[0]}' more than once", try_="rename one of them")
    columns = {name: _cells(frame.iloc[:, position].tolist()) for position, name in enumerate(names)}
    return Table(columns, tuple(range(len(frame))), "the DataFrame")


def _text_columns(texts: Sequence[Any]) -> dict[str, list[Any]]:
    pairs = bool(texts) and all(isinstance(text, (tuple, list)) and len(text) == 2 for text in texts)
    if pairs:
        return {"text_a": [first for first, _ in texts], "text_b": [second for _, second in texts]}
    pictures = len(texts) > 0 and getattr(texts[0], "ndim", 0) > 1
    return {"image" if pictures else "text": _cells(texts)}


def _is_sequence(value: Any) -> bool:
    return hasattr(value, "__len__") and hasattr(value, "__iter__") and not isinstance(value, (str, bytes, Mapping))


def _from_pair(texts: Any, labels: Any) -> Table:
    texts, labels = list(texts), list(labels)
    if len(texts) != len(labels):
        raise UserError(f"{len(texts)} texts were given with {len(labels)} labels", expected="as many labels as texts")
    return Table({**_text_columns(texts), "label": _cells(labels)}, tuple(range(len(texts))), "the given texts and labels")


def _from_dict(columns: Mapping[Any, Any]) -> Table:
    wrong = [name for name, values in columns.items() if not _is_sequence(values)]
    if wrong:
        raise UserError(f"the column '{wrong[0]}' is a {type(columns[wrong[0]]).__name__}", expected="a list for each column")
    cells = {str(name): _cells(values) for name, values in columns.items()}
    return Table(cells, tuple(range(max(map(len, cells.values()), default=0))), "the given columns")


def _from_rows(rows: Sequence[Any]) -> Table:
    rows = list(rows)
    numbers = range(len(rows))
    if rows and isinstance(rows[0], Mapping):
        records = [dict(zip(row, _cells(row.values()), strict=True)) if isinstance(row, Mapping) else row for row in rows]
        return from_records(records, numbers, "the given rows", "row")
    if rows and all(isinstance(row, str) or (isinstance(row, (tuple, list)) and len(row) == 2) for row in rows):
        return Table(_text_columns(rows), tuple(numbers), "the given texts")
    kinds = sorted({type(row).__name__ for row in rows}) or ["nothing"]
    raise UserError(f"the given list holds {', '.join(kinds)}", expected=_ACCEPTED)


def from_python(data: Any) -> dict[str, Table]:
    """The tables of one Python value under their split names ('train' when it has none); rows are counted from 0."""
    if _library(data) == "datasets":
        return from_splits(data, "the dataset")
    if _library(data) == "pandas" and hasattr(data, "columns"):
        table = _from_frame(data)
    elif isinstance(data, Mapping):
        table = _from_dict(data)
    elif isinstance(data, tuple) and len(data) == 2 and all(map(_is_sequence, data)):
        table = _from_pair(*data)
    elif _is_sequence(data):
        table = _from_rows(data)
    else:
        raise UserError(f"data cannot be read from a {type(data).__name__}", expected=_ACCEPTED)
    if not len(table):
        raise UserError(f"{table.source} have no rows" if table.source.endswith("s") else f"{table.source} has no rows")
    return {"train": table}
