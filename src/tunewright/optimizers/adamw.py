"""AdamW: Adam with decoupled weight decay, fused into one pass over the weights where the device has it.

Source: Loshchilov and Hutter 2019, algorithm 2. When: the default for transformers. When not: memory for two moments is
short (adafactor, lion, sgd).
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field

_FUSED = ("cpu", "cuda", "mps", "xpu")  # devices for which torch has the fused kernel


class Settings(BaseModel):
    """The moments' memory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    beta1: float = Field(0.9, ge=0, lt=1, description="Memory of the mean gradient (Kingma and Ba 2015).")
    beta2: float = Field(0.999, ge=0, lt=1, description="Memory of the mean square (Kingma and Ba 2015); ULMFiT used 0.99.")
    epsilon: float = Field(1e-8, gt=0, description="Added to the root of the mean square (Kingma and Ba 2015).")


def build(groups: list[dict[str, Any]], settings: Settings) -> torch.optim.Optimizer:
    """AdamW over the groups."""
    fused = all(parameter.device.type in _FUSED for group in groups for parameter in group["params"])
    return torch.optim.AdamW(groups, betas=(settings.beta1, settings.beta2), eps=settings.epsilon, fused=fused)
