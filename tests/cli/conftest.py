"""The command line called in this process, on a tiny model and a few rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tunewright.cli.main import app


@pytest.fixture(scope="session")
def call() -> Callable[..., Any]:
    runner = CliRunner()
    return lambda *words, text=None: runner.invoke(app, [str(word) for word in words], input=text)


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tunewright.models.tiny import tiny_model

    return tiny_model("bert", tmp_path_factory.mktemp("models") / "bert", layers=2, width=16)
