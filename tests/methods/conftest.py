"""Tiny networks of every family, a batch of sentences, and a few optimizer steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.tiny import Tensors, folders, predicting, reading
from tunewright.core.types import Applied, Labels
from tunewright.models.loading import load_network
from tunewright.models.network import Network

LABELS = Labels("classification", ("good", "bad", "late"))
TEXTS = ("i love the film", "the parcel was late", "my card is lost . please help me", "no")
TARGETS = torch.tensor([0, 2, 1, 1])


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return folders(tmp_path_factory, change=enlarged)


def enlarged(tensors: Tensors) -> Tensors:
    """Larger matrices, and biases that are not zero."""
    generator = torch.Generator().manual_seed(5)
    return {
        name: value * 8 if value.ndim > 1 else value + 0.1 * torch.randn(value.shape, generator=generator)
        for name, value in tensors.items()
    }


@pytest.fixture(scope="session")
def make(folder_of: Callable[[str], Path]) -> Callable[..., Network]:
    """A fresh plain network of a family; always the same weights."""

    def build(family: str = "bert", pooling: str = "native") -> Network:
        torch.manual_seed(0)  # for what a method draws afterwards
        return load_network(str(folder_of(family)), LABELS, pooling=pooling)

    return build


@pytest.fixture(scope="session")
def batch_of() -> Callable[..., dict[str, Tensor]]:
    return reading(TEXTS)


@pytest.fixture(scope="session")
def logits() -> Callable[..., Tensor]:
    return predicting(TEXTS)


@pytest.fixture(scope="session")
def train(batch_of: Callable[..., dict[str, Tensor]]) -> Callable[..., tuple[float, float]]:
    """Optimizer steps on the named parameters; first and last loss. Leaves the network in evaluation mode."""

    def steps(network: Network, names: Any, count: int = 5, rate: float = 1e-2) -> tuple[float, float]:
        inputs = batch_of(network)
        optimizer = torch.optim.Adam([network.get_parameter(name) for name in names], lr=rate)
        losses = []
        for _ in range(count):
            loss = functional.cross_entropy(network.eval()(inputs), TARGETS)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        return losses[0], losses[-1]

    return steps


@pytest.fixture(scope="session")
def shake() -> Callable[..., None]:
    """Give the named parameters values that are neither zero nor one, so that a comparison can fail."""

    def values(network: Network, names: Any, size: float = 0.1, seed: int = 7) -> None:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name in names:
                parameter = network.get_parameter(name)
                parameter.add_(torch.randn(parameter.shape, generator=generator) * size)

    return values


@pytest.fixture(scope="session")
def what_moves(train: Callable[..., tuple[float, float]]) -> Callable[..., set[str]]:
    """Train a little and see which tensors changed: only those that the method named, and the head."""

    def check(network: Network, applied: Applied) -> set[str]:
        head = set(network.head_names)
        assert not head & set(applied.trainable)
        opened = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
        assert opened == head | set(applied.trainable)
        before = {name: value.clone() for name, value in network.state_dict().items()}
        train(network, opened)
        moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
        assert moved <= opened, sorted(moved - opened)
        return moved

    return check
