"""One tag for each word: a list, or words of a string, as long as the row has words; BIO and relatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.tag_schemes import OUTSIDE, scheme_of, strange_tags, unknown_scheme
from tunewright.core.types import Labels
from tunewright.datasets.columns import find
from tunewright.datasets.labels import Where, is_empty, label_positions
from tunewright.datasets.schema import Schema
from tunewright.datasets.separators import refuse_broken
from tunewright.datasets.table import Table
from tunewright.datasets.written_lists import items_of, split_words


def read(table: Table, schema: Schema) -> list[tuple[str, ...] | None]:
    """The tags of each row; None where it has none. As many tags as words, or a ``UserError``."""
    if len(schema.target) > 1:
        raise UserError(
            f"{len(schema.target)} target columns were named for tagging", expected="one column with the tags of a row"
        )
    cells = table.column(find(table, schema.target[0], "target")[0])
    words = table.column(find(table, schema.text[0], "text")[0])
    refuse_broken(cells, table.where, bare=True)
    tags = [None if is_empty(cell) else _tags_of(cell) for cell in cells]
    wrong = [
        index
        for index, (some, cell) in enumerate(zip(tags, words, strict=True))
        if some is not None and len(some) != len(split_words(cell))
    ]
    if wrong:
        first = wrong[0]
        raise UserError(
            f"{table.where(wrong)}: {len(tags[first] or ())} tags for {len(split_words(words[first]))} words",
            expected="one tag for each word",
            try_="write words and tags as lists, or as strings with one space between",
        )
    return tags


def _tags_of(cell: Any) -> tuple[str, ...]:
    """As words are read; numbers may be tags, too."""
    items = items_of(cell)
    return split_words(cell) if items is None else tuple(map(str, items))


def faults(values: Sequence[Any], task: str, where: Where) -> list[UserError]:
    """Rows without tags, and tags of no scheme that is known."""
    empty = [index for index, value in enumerate(values) if value is None]
    found = [UserError(f"{where(empty)}: {len(empty)} rows have no tags", expected="a tag for each word")] if empty else []
    names = {tag for value in values for tag in value or ()}
    if strange := strange_tags(names):
        rows = [index for index, value in enumerate(values) if not {*strange}.isdisjoint(value or ())]
        found.append(unknown_scheme(strange, names, where(rows)))
    return found


def told(labels: Labels) -> list[str]:
    """The scheme in which the tags are written, and what is an entity in it."""
    return [scheme_of(labels.names).said]


def labels(values: Sequence[Any], task: str, names: Sequence[str]) -> Labels:
    """All tags by name, the outside tag first."""
    found = {tag for value in values for tag in value}
    return Labels(task, tuple(sorted(found, key=lambda tag: (tag != OUTSIDE, tag))))


def encode(values: Sequence[Any], labels: Labels, where: Where) -> np.ndarray:
    """An array of tag numbers for each row, (n,) objects."""
    flat = label_positions([(index, tag) for index, value in enumerate(values) for tag in value], labels, where)
    ends = np.cumsum([len(value) for value in values])[:-1]
    return object_array(np.split(np.array(flat, dtype=np.int64), ends))
