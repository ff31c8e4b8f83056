"""Raw text: a row is a passage of whole paragraphs, so that parts of one long text can be held out.

A paragraph ends at a blank line, one that is very long at any line. A line
``<|endoftext|>``, as corpora of many short texts have it, ends a passage too.
Source: the mark is that of GPT-2's corpora (Radford et al. 2019).
When: text to read on from, for a language model. When not: rows with labels.
Relatives: jsonl with one text in each object, where documents must stay whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tunewright.core.errors import UserError
from tunewright.datasets.formats.decoding import read_lines
from tunewright.datasets.table import Table

SUFFIXES = (".txt",)
_CHARACTERS = 4000  # of a passage, about 1000 tokens (a guess); a paragraph may go on to twice as many
_END = "<|endoftext|>"


def read(path: Path) -> Table:
    """One column ``text``; a passage is numbered by its first line."""
    numbers, texts = [], []
    for number, text in _passages(path):
        numbers.append(number)
        texts.append(text)
    if not texts:
        raise UserError(f"{path} holds no text", expected="lines of text")
    return Table({"text": texts}, tuple(numbers), str(path), "line")


def _passages(path: Path) -> Iterator[tuple[int, str]]:
    held: list[str] = []
    first = size = 0
    for number, line in enumerate(read_lines(path, newline="\n"), 1):
        line = line.rstrip("\r\n")
        ended = line.strip() == _END
        if held and (ended or size >= (2 if line.strip() else 1) * _CHARACTERS):
            yield first, "\n".join(held).rstrip()
            held, size = [], 0
        if not ended and (held or line.strip()):
            first = first if held else number
            held.append(line)
            size += len(line) + 1
    if held:
        yield first, "\n".join(held).rstrip()
