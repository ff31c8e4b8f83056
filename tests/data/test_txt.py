"""Raw text is read in passages: nothing is lost, paragraphs stay whole, and a mark between documents ends a passage."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewright.core.errors import UserError
from tunewright.datasets.read import read_table
from tunewright.datasets.readers import txt


def written(folder: Path, text: str) -> Path:
    path = folder / "book.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_passages_are_whole_paragraphs_and_together_the_text(tmp_path: Path) -> None:
    paragraphs = [f"{number} " + "word " * 99 for number in range(30)]
    table = read_table(written(tmp_path, "\n\n\n" + "\n\n".join(paragraphs)))
    assert [text.split("\n\n") for text in table.columns["text"]] != [[part] for part in paragraphs]
    assert "\n\n".join(table.columns["text"]).split() == " ".join(paragraphs).split()
    assert all(text.split()[0].isdigit() for text in table.columns["text"])
    assert all(4000 <= len(text) < 4600 for text in table.columns["text"][:-1])
    assert table.rows[0] == 4
    assert table.unit == "line"


def test_a_mark_ends_a_passage(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, "one\ntwo\n<|endoftext|>\nthree\n<|endoftext|>\n"))
    assert (table.columns["text"], table.rows) == (["one\ntwo", "three"], (1, 4))


def test_a_text_without_paragraphs_is_cut_at_lines(tmp_path: Path) -> None:
    lines = [f"line {number} of many" for number in range(2000)]
    texts = read_table(written(tmp_path, "\n".join(lines))).columns["text"]
    assert "\n".join(texts).split("\n") == lines
    assert len(texts) > 3
    assert max(map(len, texts)) < 2 * txt._CHARACTERS + 30


def test_marks_alone_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no text"):
        txt.read(written(tmp_path, "<|endoftext|>\n\n"))
