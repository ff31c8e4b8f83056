"""Adapted tiny networks, saved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny import folders
from tunewright.artifacts.model_folder import save_model
from tunewright.core.registry import load_part
from tunewright.core.types import Labels
from tunewright.models.loading import load_network
from tunewright.models.network import Network

LABELS = Labels("classification", ("good", "bad", "late"))
TEXTS = [("i love the film",), ("the parcel was late and my card is lost . please help",), ("no",)]


@dataclass(frozen=True)
class Saved:
    folder: Path
    network: Network

    @property
    def model(self) -> Path:
        return self.folder / "model"


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return folders(tmp_path_factory)


@pytest.fixture
def save(folder_of: Callable[[str], Path], tmp_path: Path) -> Callable[..., Saved]:
    """Adapt a network, give what trains other values, and save it."""

    def build(
        family: str = "bert",
        pooling: str = "native",
        method: str = "full",
        base: str = "",
        settings: dict[str, Any] | None = None,
    ) -> Saved:
        torch.manual_seed(0)
        network = load_network(base or str(folder_of(family)), LABELS, pooling=pooling)
        part = load_part("methods", method)
        applied = part.apply(network, part.Settings(**(settings or {})))
        with torch.no_grad():
            for name in (*applied.trainable, *network.head_names):
                parameter = network.get_parameter(name)
                parameter.add_(torch.randn(parameter.shape) * 0.1)
        folder = tmp_path / f"{family}-{pooling}-{method}"
        save_model(
            folder / "model",
            network,
            method,
            settings or {},
            applied,
            head="classification",
            head_settings={"label_smoothing": 0.1},
            max_length=32,
            schema={"text": ["message"], "target": ["label"]},
        )
        return Saved(folder, network)

    return build
