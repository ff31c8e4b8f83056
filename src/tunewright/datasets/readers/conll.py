"""Words with their tags in columns, one word on a line and a blank line after each sentence, as CoNLL's tasks have them.

Source: Tjong Kim Sang and De Meulder 2003, CoNLL-2003 shared task, section 2.2: the word comes first and its entity tag last.
When: tagging data from a shared task or an annotation tool. When not: trees of dependencies (CoNLL-U).
Relatives: jsonl with a list of words and a list of tags in each object.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tunewright.core.errors import UserError
from tunewright.datasets.formats.decoding import read_lines
from tunewright.datasets.table import Table

SUFFIXES = (".conll", ".bio", ".iob", ".iob2")
_DOCUMENT = "-DOCSTART-"


def read(path: Path) -> Table:
    """Columns words and tags; a sentence is numbered by the line of its first word. Other columns are left out."""
    numbers, words, tags = [], [], []
    for number, sentence in _sentences(path):
        numbers.append(number)
        words.append([line[0] for line in sentence])
        tags.append([line[-1] for line in sentence])
    if not words:
        raise UserError(f"{path} holds no words", expected="lines of a word and its tag")
    return Table({"words": words, "tags": tags}, tuple(numbers), str(path), "line")


def _sentences(path: Path) -> Iterator[tuple[int, list[list[str]]]]:
    """The line of the first word and the fields of all, sentence by sentence."""
    held: list[list[str]] = []
    first, width = 1, 0
    for number, line in enumerate(read_lines(path), 1):
        fields = line.split()
        if not fields or fields[0] == _DOCUMENT:
            if held:
                yield first, held
            held = []
            continue
        width = width or len(fields)
        if len(fields) != width or width < 2:
            raise UserError(
                f"{path}, line {number} has {len(fields)} fields",
                expected=f"{width} as on the lines before" if width > 1 else "a word and its tag, with a space or tab between",
            )
        first = first if held else number
        held.append(fields)
    if held:
        yield first, held
