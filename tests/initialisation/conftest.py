from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tunewright.core.types import Labels
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.models.tiny import tiny_model


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Network]:
    """A fresh network of a family; always the same weights."""
    folders: dict[str, Path] = {}

    def build(family: str = "bert", labels: Labels | None = None) -> Network:
        if family not in folders:
            folders[family] = tiny_model(family, tmp_path_factory.mktemp("tiny") / family)
        return load_network(str(folders[family]), labels or Labels("classification", ("a", "b", "c")), pooling="native")

    return build
