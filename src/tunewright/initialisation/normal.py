"""A new head from a normal distribution, biases zero.

Source: Devlin et al. 2019, section 3 and their released code (spread 0.02). When: the backbone will train long. When not: few
rows; a linear probe gives a head whose first gradients do no harm.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from tunewright.core.types import Labels
from tunewright.models.network import Network


class Settings(BaseModel):
    """Spread."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    spread: float = Field(0.02, gt=0, le=1, description="Standard deviation of the weights (BERT: 0.02).")


def initialise(
    network: Network,
    features: Callable[[], np.ndarray],
    targets: np.ndarray,
    labels: Labels,
    settings: Settings,
    seed: int,
) -> str:
    """Draw the last linear layer anew, with a generator of its own."""
    generator = torch.Generator().manual_seed(seed)
    linear = network.last_linear
    with torch.no_grad():
        linear.weight.copy_(torch.empty(linear.weight.shape).normal_(0, settings.spread, generator=generator))
        if linear.bias is not None:
            linear.bias.zero_()
    return f"the head starts from a normal distribution of spread {settings.spread}"
