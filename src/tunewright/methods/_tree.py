"""Changing a module tree: wrapping a layer, putting it back, opening parameters for training."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from torch import Tensor, nn

from tunewright.models.network import Network


class Wrapper(nn.Module):
    """A layer with something added; ``base_layer`` is the layer as it was.

    ``weight`` and ``bias`` stay readable because some models look at them (T5 reads its output layer's dtype).
    """

    def __init__(self, base_layer: nn.Module) -> None:
        super().__init__()
        self.base_layer = base_layer

    @property
    def weight(self) -> Tensor:
        return self.base_layer.weight  # type: ignore[return-value]

    @property
    def bias(self) -> Tensor | None:
        return self.base_layer.bias  # type: ignore[return-value]


Kind = TypeVar("Kind", bound=Wrapper)


def replace(network: nn.Module, name: str, module: nn.Module) -> None:
    """Put ``module`` where ``name`` points."""
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)


def wrap(network: nn.Module, names: Iterable[str], make: Callable[[str, nn.Module], Kind]) -> dict[str, Kind]:
    """Replace each named layer by ``make(name, layer)``; returns the wrappers by name, in their layer's mode."""
    wrappers: dict[str, Kind] = {}
    for name in names:
        base = network.get_submodule(name)
        wrappers[name] = make(name, base).train(base.training)
        replace(network, name, wrappers[name])
    return wrappers


def unwrap(network: nn.Module, names: Iterable[str]) -> None:
    """Put the wrapped layers back as they were."""
    for name in names:
        wrapper = network.get_submodule(name)
        assert isinstance(wrapper, Wrapper)
        replace(network, name, wrapper.base_layer)


def open_only(network: Network, trainable: Iterable[str]) -> tuple[str, ...]:
    """Let gradients reach these parameters and the head, and no others; returns the names without the head's."""
    head = set(network.head_names)
    chosen = set(trainable) - head
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in chosen or name in head)
    return tuple(name for name, _ in network.named_parameters() if name in chosen)


def matrix(layer: nn.Module, weight: Tensor) -> Tensor:
    """A linear layer's weight as (outputs, inputs), a view; Conv1D keeps it the other way round."""
    return weight if isinstance(layer, nn.Linear) else weight.T


def added(name: str, wrapper: nn.Module) -> tuple[str, ...]:
    """Names of a wrapper's own parameters, those of the wrapped layer left out."""
    return tuple(f"{name}.{key}" for key, _ in wrapper.named_parameters() if not key.startswith("base_layer."))
