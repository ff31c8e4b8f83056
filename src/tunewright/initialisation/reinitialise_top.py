"""The topmost blocks start from random weights again.

Source: Zhang et al. 2021, 'Revisiting few-sample BERT fine-tuning', section 5. When: the top was specialised for another
objective and training is unstable on few rows. When not: sentence encoders, whose top layers are what one came for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.models.network import Network
from tunewright.models.stack import LayerGroup


class Settings(BaseModel):
    """How many."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layers: int = Field(1, ge=1, description="Blocks to start again, counted from the top (Zhang et al.: 1 to 3 for 12).")


def initialise(
    network: Network,
    features: Callable[[], np.ndarray],
    targets: np.ndarray,
    labels: Labels,
    settings: Settings,
    seed: int,
) -> str:
    """Draw the blocks anew by the model's own rule."""
    blocks = network.stack.blocks
    if settings.layers > len(blocks):
        raise UserError(f"reinitialise_top.layers is {settings.layers}", expected=f"at most {len(blocks)}, the number of blocks")
    chosen = blocks[len(blocks) - settings.layers :]
    modules = dict(network.named_modules())
    _refuse_adapted(network, chosen)
    devices = [network.device] if network.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        for block in chosen:
            _forget(network, block)
            for name in reversed(block.modules):  # inner modules first, as transformers does: some blocks rescale what is inside
                network.inner._init_weights(modules[name])
    return f"the {settings.layers} topmost blocks start from random weights"


def _forget(network: Network, block: LayerGroup) -> None:
    """Take away the mark by which transformers skips tensors that it has already filled."""
    for name in block.parameters:
        network.get_parameter(name)._is_hf_initialized = False  # type: ignore[attr-defined]


def _refuse_adapted(network: Network, blocks: tuple[LayerGroup, ...]) -> None:
    """Random weights that are frozen under an adapter can never become useful."""
    known = {name for block in blocks for name in block.parameters}
    inside = {name for name, _ in network.named_parameters() if any(name.startswith(b.modules[0] + ".") for b in blocks)}
    if inside != known:
        raise UserError(
            "reinitialise_top cannot be used with a method that puts adapters into the blocks",
            expected="a method that trains the blocks themselves",
            try_="--set method=full",
        )
