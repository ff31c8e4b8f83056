"""Rows of words, each with its own answer: token ids that know which word they begin, long rows in overlapping windows.

Source: Devlin et al. 2019, BERT, section 5.3: the first piece of a word speaks for it. Windows: each word is answered where it
stands furthest from an edge, as Devlin et al.'s code does for questions.
When: tagging words (names, parts of speech). When not: one answer for a whole text (encoders/text.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from tunewright.core.errors import UserError
from tunewright.core.types import Finding
from tunewright.datasets.columns import find, folded
from tunewright.datasets.separators import refuse_broken
from tunewright.datasets.table import Table
from tunewright.datasets.written_lists import is_broken, items_of, split_words, texts_of
from tunewright.modalities.processor_files import load_tokenizer
from tunewright.modalities.text import modality as text
from tunewright.modalities.text import windows

RECOGNITION_ORDER = 60
TOKENIZED = True
SCRATCH_LOADING = None
load_processor = load_tokenizer

_WORDS = frozenset(("tokens", "words"))
_TAGS = frozenset(("tags", "ner_tags", "labels", "ner", "pos_tags", "pos"))
_OVERLAP = 4  # a window shares one token in so many with its neighbor (a guess)


def read(table: Table, columns: tuple[str, ...], findings: list[Finding] | None = None) -> list[tuple[tuple[str, ...]]]:
    """The words of each row; a cell that is neither list nor text, or has no word, is a ``UserError``."""
    if len(columns) != 1:
        raise UserError(f"{len(columns)} text columns were named for words", expected="one column")
    cells = table.column(find(table, columns[0], "text")[0])
    refuse_broken(cells, table.where)
    words = [split_words(cell) for cell in cells]
    empty = [index for index, some in enumerate(words) if not some]
    if empty:
        raise UserError(f"{table.where(empty)}: {cells[empty[0]]!r} has no words", expected="a list of words, or a text")
    written = sum(texts_of(cell) is not None for cell in cells)
    if written and findings is not None:
        message = f"{table.source}: the words of {written} rows are lists that were written as text, and are read as lists"
        findings.append(Finding("written_lists", message, "note", count=written))
    return [(some,) for some in words]


def recognize(table: Table, named: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], str] | None:
    """A column of words beside one of tags, both lists, under the names that such files have."""
    if named.get("task") not in (None, "token_classification"):
        return None
    lists = [name for name, cells in table.columns.items() if cells and all(map(_is_list, cells))]
    words = named.get("text") or [name for name in lists if folded(name) in _WORDS]
    tags = named.get("target") or [name for name in lists if folded(name) in _TAGS]
    if len(words) != 1 or len(tags) != 1 or (named.get("task") is None and not {*words, *tags} <= set(lists)):
        return None
    return tuple(words), tuple(tags), "token_classification"


def _is_list(cell: Any) -> bool:
    """A list, or a text that a program wrote one as, whether or not it can be read."""
    return isinstance(cell, (list, tuple)) or items_of(cell) is not None or is_broken(cell)


def shown(row: tuple[Any, ...]) -> str:
    """The words as a text."""
    return " ".join(row[0])


def compared(row: tuple[Any, ...]) -> tuple[str, ...]:
    """What duplicates are looked for in."""
    return (shown(row),)


def encode(inputs: Sequence[tuple[Any, ...]], tokenizer: Any, max_length: int) -> windows.Encoded[np.ndarray]:
    """Windows of at most ``max_length`` tokens over each row's words; of the rows, how many words each has, (n,) int64.

    A token's mark is the word that it begins, -1 where it begins none; what is too long goes on in another window.
    """
    text.refuse_slow(tokenizer)
    ids: list[list[int]] = []
    words: list[list[int]] = []
    rows: list[int] = []
    room = max_length - tokenizer.num_special_tokens_to_add()
    if room < 1:
        raise UserError(f"max_length {max_length} leaves no room for words", expected="a larger data.max_length")
    around_text = around(tokenizer)
    for start in range(0, len(inputs), text.ROWS_AT_ONCE):
        part = [list(row[0]) for row in inputs[start : start + text.ROWS_AT_ONCE]]
        with text.guarded(tokenizer, chain.from_iterable(part)):
            made = tokenizer(part, is_split_into_words=True, add_special_tokens=False)
        for index in range(len(part)):
            _add_windows(made, index, start + index, around_text, room, (ids, words, rows))
    marks = np.fromiter(chain.from_iterable(words), dtype=np.int32)
    counts = np.array([len(row[0]) for row in inputs], dtype=np.int64)
    return windows.Encoded(text.joined(tokenizer, ids), marks, np.array(rows, dtype=np.int64), counts)


def _add_windows(
    made: Any,
    index: int,
    row: int,
    around: tuple[list[int], list[int]],
    room: int,
    out: tuple[list[list[int]], list[list[int]], list[int]],
) -> None:
    tokens, of = made["input_ids"][index], made.word_ids(index)
    first = [-1 if word is None or (place and of[place - 1] == word) else word for place, word in enumerate(of)]
    step = max(1, room - room // _OVERLAP)
    for start in range(0, max(1, len(tokens)), step):
        part, begins = tokens[start : start + room], first[start : start + room]
        before, after = around
        out[0].append([*before, *part, *after])
        out[1].append([-1] * len(before) + begins + [-1] * len(after))
        out[2].append(row)
        if start + room >= len(tokens):
            break


def around(tokenizer: Any) -> tuple[list[int], list[int]]:
    """What the tokenizer puts before and after one text."""
    bare, whole = (tokenizer("a", add_special_tokens=add)["input_ids"] for add in (False, True))
    start = next(place for place in range(len(whole)) if whole[place : place + len(bare)] == bare)
    return whole[:start], whole[start + len(bare) :]
