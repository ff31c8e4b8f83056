"""Train the bias vectors alone (BitFit).

Source: Ben Zaken et al. 2022, "BitFit", section 3 (all bias terms, those of the norms among them).
When: small data on an encoder of BERT's kind; about 0.1 % of the weights move, and a task is a small difference to store.
When not: the model has no biases (Llama, Gemma, T5, ModernBERT), which is refused; large data, where lora gains more.
Nearest: norm_only (scales of the norms too, works on models without biases), ia3.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from tunewright.core.errors import UserError
from tunewright.core.types import Applied
from tunewright.methods._tree import open_only
from tunewright.models.network import Network


class Settings(BaseModel):
    """Nothing to set."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def apply(network: Network, settings: Settings) -> Applied:
    """Open each module's bias: the vectors that are added, as modules themselves register them."""
    names = {
        f"{owner}.{key}"
        for owner, module in network.named_modules()
        for key, parameter in module.named_parameters(recurse=False)
        if parameter.ndim == 1 and (key == "bias" or key.endswith("_bias"))
    }
    trainable = open_only(network, names)
    if not trainable:
        raise UserError(
            f"{type(network.inner).__name__} has no bias vectors outside its head",
            expected="a network whose layers add biases",
            try_="method: norm_only, or method: lora",
        )
    return Applied(trainable=trainable)
