"""The topmost blocks start from random weights again.

Source: Zhang et al. 2021, 'Revisiting few-sample BERT fine-tuning', section 5. When: the top was specialised for another
objective and training is unstable on few rows. When not: sentence encoders, whose top layers are what one came for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.initialization._random import draw_again, refuse_adapted
from tunewright.models.network import Network


class Settings(BaseModel):
    """How many."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layers: int = Field(1, ge=1, description="Blocks to start again, counted from the top (Zhang et al.: 1 to 3 for 12).")


def initialize(
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
        raise UserError(f"reinitialize_top.layers is {settings.layers}", expected=f"at most {len(blocks)}, the number of blocks")
    chosen = blocks[len(blocks) - settings.layers :]
    refuse_adapted(network, chosen, "reinitialize_top")
    draw_again(network, chosen, seed)
    return f"the {settings.layers} topmost blocks start from random weights"
