"""Tiny models of every family, written once; networks and batches made from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tunewright.core.files import read_tensors, write_tensors
from tunewright.core.types import Labels
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.models.tiny import tiny_model

LABELS = Labels("classification", ("good", "bad", "late"))
TEXTS = ("i love the film", "no", "the parcel was late and my card is lost . please help me")


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def folder(family: str) -> Path:
        if family not in made:
            made[family] = tiny_model(family, tmp_path_factory.mktemp("tiny") / family)
            weights = made[family] / "model.safetensors"  # larger ones, or tiny networks are nearly linear and hide mistakes
            write_tensors(
                weights, {name: value * 6 if value.ndim > 1 else value for name, value in read_tensors(weights).items()}
            )
        return made[family]

    return folder


@pytest.fixture(scope="session")
def make(folder_of: Callable[[str], Path]) -> Callable[..., Network]:
    def build(family: str = "bert", pooling: str = "native", **settings: Any) -> Network:
        return load_network(str(folder_of(family)), LABELS, pooling=pooling, **settings)

    return build


@pytest.fixture(scope="session")
def batch_of() -> Callable[..., dict[str, Tensor]]:
    def batch(network: Network, texts: tuple[str, ...] = TEXTS) -> dict[str, Tensor]:
        encoded = network.tokenizer(list(texts), padding=True, return_tensors="pt")
        return {key: encoded[key] for key in network.reads if key in encoded}

    return batch


@pytest.fixture(scope="session")
def logits(batch_of: Callable[..., dict[str, Tensor]]) -> Callable[..., Tensor]:
    def predict(network: Network, texts: tuple[str, ...] = TEXTS) -> Tensor:
        with torch.no_grad():
            return network.eval()(batch_of(network, texts))

    return predict
