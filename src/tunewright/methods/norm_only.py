"""Train the normalization layers alone.

Source: Qi et al. 2022, "Parameter-Efficient Tuning on Layer Normalization for Pre-trained Language Models", section 3;
Frankle et al. 2021, "Training BatchNorm and Only BatchNorm", section 4.
When: as bias_only, and for models that have no biases (RMS norms still have a scale).
When not: the task is far from pre-training; scales and shifts can only re-weight what the layers compute already.
Nearest: bias_only, ia3 (re-scales inside attention and feed-forward).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from tunewright.core.errors import UserError
from tunewright.core.types import Applied
from tunewright.methods._tree import open_only
from tunewright.models.network import Network
from tunewright.models.norm import is_norm


class Settings(BaseModel):
    """Nothing to set."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def apply(network: Network, settings: Settings) -> Applied:
    """Open scale and shift of every norm, whatever the norm is called in its model."""
    names = {
        f"{owner}.{key}"
        for owner, module in network.named_modules()
        if is_norm(module)
        for key, _ in module.named_parameters(recurse=False)
    }
    trainable = open_only(network, names)
    if not trainable:
        raise UserError(f"{type(network.inner).__name__} has no normalization layer with weights", try_="method: bias_only")
    return Applied(trainable=trainable)
