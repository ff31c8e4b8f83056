"""SGD: stochastic gradient descent with momentum; weight decay is an L2 penalty inside the gradient.

Source: Sutskever et al. 2013, on momentum. When: convolutional networks, or little memory. When not: transformers, whose
layers' gradients differ in scale; rates must then be some hundred times those of AdamW.
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Momentum."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    momentum: float = Field(0.9, ge=0, lt=1, description="Memory of past steps (the usual choice).")
    nesterov: bool = Field(False, description="Look ahead along the momentum.")


def build(groups: list[dict[str, Any]], settings: Settings) -> torch.optim.Optimizer:
    """SGD over the groups."""
    return torch.optim.SGD(groups, lr=1e-3, momentum=settings.momentum, nesterov=settings.nesterov)
