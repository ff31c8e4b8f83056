"""A new head from a normal distribution, biases zero; what the loader does by itself, with another seed or spread.

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

    spread: float | None = Field(
        None, gt=0, le=1, description="Standard deviation of the weights; None takes the model's own range (BERT: 0.02)."
    )


def initialize(
    network: Network,
    features: Callable[[], np.ndarray],
    targets: np.ndarray,
    labels: Labels,
    settings: Settings,
    seed: int,
) -> str:
    """Draw all new parameters again, with a generator of their own; vectors that are not biases are scales and become 1."""
    generator = torch.Generator().manual_seed(seed)
    spread = settings.spread or float(getattr(network.inner.config, "initializer_range", None) or 0.02)
    with torch.no_grad():
        for name in network.head_names:
            parameter = network.get_parameter(name)
            if parameter.ndim > 1:
                parameter.copy_(torch.empty(parameter.shape).normal_(0, spread, generator=generator))
            else:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
    return f"the head starts from a normal distribution of spread {spread:g}, biases zero"
