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
    modules = dict(network.named_modules())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for block in blocks[len(blocks) - settings.layers :]:
            for module in (modules[name] for name in block.modules):
                for parameter in module.parameters(recurse=False):
                    parameter._is_hf_initialized = False  # type: ignore[attr-defined] # transformers skips what it has initialised
                module._is_hf_initialized = False  # type: ignore[assignment]
                network.inner._init_weights(module)
    return f"the {settings.layers} topmost blocks start from random weights"
