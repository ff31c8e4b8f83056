"""The page of strategies and tasks says what happens: every cell is run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def matrix(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    monkeypatch.setenv("TUNEWRIGHT_CACHE", "")
    import matrix as module

    yield module
    sys.modules.pop("matrix", None)


def test_every_cell_of_the_page_is_what_a_run_does(matrix) -> None:
    assert matrix.main(["--check"]) == 0


def test_a_page_that_says_otherwise_is_noticed(matrix, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(matrix, "TOYS", {"classification": matrix.classification})
    monkeypatch.setattr(matrix, "PAGE", tmp_path / "matrix.md")
    assert matrix.main([]) == 0
    assert matrix.main(["--check"]) == 0
    matrix.PAGE.write_text(matrix.PAGE.read_text().replace("works", "–", 1))
    assert matrix.main(["--check"]) == 1
