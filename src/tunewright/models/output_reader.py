"""What a model's output layer would read, from a pass of a view of the model: the model itself is not touched.

The view shares every module but those on the way from the model to its output layer, which are copied without their
parameters; so threads that predict with one model do not see each other.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn


class _Reader(nn.Module):
    """In place of the output layer: keeps what it is given and makes one column of it."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.seen: list[Tensor] = []
        self.__dict__["_head"] = head  # not as a child: it is read, not run

    def forward(self, hidden: Tensor) -> Tensor:
        self.seen.append(hidden)
        return hidden[..., :1]

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__["_head"], name)  # as some models ask for its weight's type


def read_by_output(model: nn.Module, head: nn.Module, inputs: dict[str, Any]) -> list[Tensor]:
    """The hidden states that reach ``head`` in a pass; none where the model cannot be run without it."""
    name = next((name for name, module in model.named_modules() if module is head), "")
    if not name or _is_sharded(model) or head._forward_hooks or head._forward_pre_hooks:
        return []
    reader = _Reader(head)
    _view(model, name.split("."), reader)(**inputs)
    return reader.seen


def _is_sharded(model: nn.Module) -> bool:
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return False
    from torch.distributed.fsdp import FSDPModule

    return isinstance(model, FSDPModule)


def _view(module: nn.Module, path: list[str], leaf: nn.Module) -> nn.Module:
    """A copy of ``module`` in which ``leaf`` stands at ``path``; everything beside the path is the very same."""
    made = copy.copy(module)
    made.__dict__["_modules"] = dict(module._modules)
    child = module._modules[path[0]]
    assert child is not None
    made._modules[path[0]] = leaf if len(path) == 1 else _view(child, path[1:], leaf)
    return made
