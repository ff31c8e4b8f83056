"""Linear layers inside a stack's blocks, by type: nn.Linear and transformers' transposed Conv1D (GPT-2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from transformers.pytorch_utils import Conv1D

if TYPE_CHECKING:
    from tunewright.models.network import Network


def is_linear(module: nn.Module) -> bool:
    """Whether a module maps features linearly, in either weight layout."""
    return isinstance(module, (nn.Linear, Conv1D))


def linear_shape(module: nn.Module) -> tuple[int, int]:
    """(inputs, outputs) of a linear layer; Conv1D keeps its weight transposed."""
    if isinstance(module, nn.Linear):  # which knows it even where its weight is packed into 4 bits
        return module.in_features, module.out_features
    rows, columns = module.weight.shape  # type: ignore[union-attr,misc]
    return int(rows), int(columns)


def linear_names(network: Network) -> tuple[str, ...]:
    """Dotted names of the linear layers inside the blocks, from the lowest block up."""
    modules = dict(network.named_modules())
    return tuple(name for group in network.stack.blocks for name in group.modules if name in modules and is_linear(modules[name]))
