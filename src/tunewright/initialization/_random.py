"""Layers that start from random weights again, drawn by the model's own rule."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from tunewright.core.errors import UserError
from tunewright.models.network import Network
from tunewright.models.stack import LayerGroup


def draw_again(network: Network, groups: Sequence[LayerGroup], seed: int) -> None:
    """Draw every weight of some layers, by transformers' rule for the model or by each module's own; others stay as they are.

    An outer module's rule may speak of inner ones that are not among the layers (ModernBERT's of its head).
    """
    modules = dict(network.named_modules())
    drawn = {name for group in groups for name in group.parameters}
    others = [(value, value.detach().clone()) for name, value in network.named_parameters() if name not in drawn]
    devices = [network.device] if network.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        torch.manual_seed(seed)
        for group in groups:
            for name in group.parameters:  # transformers skips tensors that it has already filled
                network.get_parameter(name)._is_hf_initialized = False  # type: ignore[attr-defined]
            for name in reversed(group.modules):  # inner modules first, as transformers does: some rescale what is inside
                _draw(network, modules[name])
        for value, before in others:
            value.copy_(before)


def _draw(network: Network, module: nn.Module) -> None:
    if hasattr(network.inner, "_init_weights"):
        network.inner._init_weights(module)
    elif callable(reset := getattr(module, "reset_parameters", None)):
        reset()


def refuse_adapted(network: Network, groups: Sequence[LayerGroup], name: str) -> None:
    """Random weights that are frozen under an adapter can never become useful."""
    known = {parameter for group in groups for parameter in group.parameters}
    tops = tuple(f"{group.modules[0]}." for group in groups if group.name.startswith("block"))
    inside = {parameter for parameter, _ in network.named_parameters() if parameter.startswith(tops)}
    if not inside <= known:
        raise UserError(
            f"{name} cannot be used with a method that puts adapters into the blocks",
            expected="a method that trains the blocks themselves",
            try_="--set method=full",
        )
