"""Train every other block of the network, from the first on."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from tunewright.core.types import Applied
from tunewright.models.network import Network


class Settings(BaseModel):
    """Which blocks train."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    every: int = Field(2, ge=1, description="One block of so many trains.")


def apply(network: Network, settings: Settings) -> Applied:
    """Open the chosen blocks and close all else but the head."""
    chosen = {name for block in network.stack.blocks[:: settings.every] for name in block.parameters}
    trainable = tuple(name for name, _ in network.named_parameters() if name in chosen)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in trainable or name in network.head_names)
    return Applied(trainable=trainable)
