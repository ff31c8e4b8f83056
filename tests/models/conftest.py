"""Tiny models of every family, written once; networks and batches made from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from tests.tiny import folders, larger, predicting, reading
from tunewright.core.types import Labels
from tunewright.models.loading import load_network
from tunewright.models.network import Network

LABELS = Labels("classification", ("good", "bad", "late"))
TEXTS = ("i love the film", "no", "the parcel was late and my card is lost . please help me")


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return folders(tmp_path_factory, change=larger(6))


@pytest.fixture(scope="session")
def make(folder_of: Callable[[str], Path]) -> Callable[..., Network]:
    def build(family: str = "bert", pooling: str = "native", **settings: Any) -> Network:
        return load_network(str(folder_of(family)), LABELS, pooling=pooling, **settings)

    return build


@pytest.fixture(scope="session")
def batch_of() -> Callable[..., dict[str, Tensor]]:
    return reading(TEXTS)


@pytest.fixture(scope="session")
def logits() -> Callable[..., Tensor]:
    return predicting(TEXTS)
