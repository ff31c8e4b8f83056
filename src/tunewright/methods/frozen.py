"""Train nothing but the new head: feature extraction.

Source: Donahue et al. 2014, "DeCAF", section 3; for text encoders Peters et al. 2019, "To Tune or Not to Tune?", section 3.
When: few rows, many runs over the same texts, or an encoder whose vectors are to stay as they are; the pre-trained
layers run once per row, so it is by far the fastest method.
When not: the task needs distinctions that the vectors do not make; then lora or full gain most.
Nearest: last_layers (opens the top blocks too).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from tunewright.core.types import Applied
from tunewright.methods._tree import open_only
from tunewright.models.network import Network


class Settings(BaseModel):
    """Nothing to set."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def apply(network: Network, settings: Settings) -> Applied:
    """Close every pre-trained parameter."""
    return Applied(trainable=open_only(network, ()))
