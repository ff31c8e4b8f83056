"""CoNLL's columns: sentences, documents, other columns, and lines that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewright.core.errors import UserError
from tunewright.datasets.read import read_splits
from tunewright.datasets.schema import guess_schema

SENTENCES = """-DOCSTART- -X- O O

EU NNP I-NP B-ORG
rejects VBZ I-VP O

Peter NNP I-NP B-PER
Blackburn NNP I-NP I-PER
"""


def test_sentences_with_the_first_and_last_column(tmp_path: Path) -> None:
    file = tmp_path / "train.conll"
    file.write_text(SENTENCES)
    table = read_splits(file)["train"]
    assert table.columns == {
        "words": [["EU", "rejects"], ["Peter", "Blackburn"]],
        "tags": [["B-ORG", "O"], ["B-PER", "I-PER"]],
    }
    assert table.rows == (3, 6)
    assert guess_schema(table).task == "token_classification"
    tabs = tmp_path / "train.bio"
    tabs.write_bytes("\ufeffstraße\tO\r\n\r\n \t\r\nBonn\tB-LOC".encode())
    assert read_splits(tabs)["train"].columns["words"] == [["straße"], ["Bonn"]]


@pytest.mark.parametrize(
    ("content", "fragment"),
    [("EU B-ORG\nrejects\n", "line 2 has 1 fields"), ("EU\n", "a word and its tag"), ("-DOCSTART- O\n\n", "holds no words")],
)
def test_faults(tmp_path: Path, content: str, fragment: str) -> None:
    file = tmp_path / "train.iob2"
    file.write_text(content)
    with pytest.raises(UserError, match=fragment):
        read_splits(file)
