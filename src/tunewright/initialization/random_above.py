"""All layers but the lowest start from random weights: training from scratch, or with the bottom of a pre-trained network.

Source: Yosinski et al. 2014, How transferable are features in deep neural networks, section 2. When: to see what the pre-trained
weights are worth, as a whole or layer by layer. When not: to reach the best score.
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
    """How much is kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kept: int = Field(
        0, ge=0, description="Layers that keep their weights, from the bottom: 0 none, 1 the embeddings, then blocks."
    )


def initialize(
    network: Network,
    features: Callable[[], np.ndarray],
    targets: np.ndarray,
    labels: Labels,
    settings: Settings,
    seed: int,
) -> str:
    """Draw the layers from depth ``kept`` up anew; the new head stays as it is."""
    groups = network.stack.groups[:-1]
    if settings.kept > len(groups):
        raise UserError(f"random_above.kept is {settings.kept}", expected=f"at most {len(groups)}, the layers below the head")
    chosen = groups[settings.kept :]
    if network.stack.shared > 1 and settings.kept > 0:
        raise UserError("blocks that share their weights cannot keep some of them", expected="random_above.kept: 0")
    refuse_adapted(network, chosen, "random_above")
    draw_again(network, chosen, seed)
    return f"{len(chosen)} of {len(groups)} layers start from random weights"
