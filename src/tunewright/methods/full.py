"""Train every weight of the network.

Source: Howard and Ruder 2018, "Universal Language Model Fine-tuning", section 3; Devlin et al. 2019, "BERT", section 3.2.
When: a thousand rows or more and a model that fits in memory with its optimizer state (about four times its weights).
When not: tens of rows (lp-ft or lora are steadier), or one base model that has to serve many tasks.
Nearest: last_layers (only the top), lora (near its quality with a hundredth of the trained weights).
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
    """Open every parameter."""
    return Applied(trainable=open_only(network, (name for name, _ in network.named_parameters())))
