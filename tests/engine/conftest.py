"""A tiny BERT for every test of the engine."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tunewright.models.tiny import tiny_model

    return tiny_model("bert", tmp_path_factory.mktemp("models") / "bert")
