"""L2-SP: pull weights towards where they started, not towards zero.

Source: Li, Grandvalet and Davoine 2018, equation 2: alpha/2 on the distance of pre-trained weights from their start, beta/2
on the new head's size. When: little data, or what was known before must stay. When not: adapters, which start at zero anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from tunewright.models.network import Network


class Settings(BaseModel):
    """The two strengths."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    alpha: float = Field(0.1, ge=0, description="Strength for pre-trained weights (section 4.2: 0.1 among 0.1 to 0.001).")
    beta: float = Field(0.01, ge=0, description="Strength for the head (section 4.2: 0.01).")


def prepare(network: Network, trainable: Iterable[str], settings: Settings) -> Callable[[], Tensor]:
    """Remember the start of every trainable weight."""
    new, parameters = set(network.head_names), dict(network.named_parameters())
    moving = [name for name in trainable if name not in new]
    old = [(parameters[name], parameters[name].detach().clone()) for name in moving]
    head = [parameters[name] for name in network.head_names]

    def penalty() -> Tensor:
        zero = torch.zeros((), device=network.device)
        distance = sum(((now - start).square().sum() for now, start in old if now.requires_grad), zero)
        size = sum((parameter.square().sum() for parameter in head), zero)
        return settings.alpha / 2 * distance + settings.beta / 2 * size

    return penalty
