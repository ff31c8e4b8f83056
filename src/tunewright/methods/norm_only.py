"""Train the normalisation layers alone.

Source: Qi et al. 2022, "Parameter-Efficient Tuning on Layer Normalization for Pre-trained Language Models", section 3;
Frankle et al. 2021, "Training BatchNorm and Only BatchNorm", section 4.
When: as bias_only, and for models that have no biases (RMS norms still have a scale).
When not: the task is far from pre-training; scales and shifts can only re-weight what the layers compute already.
Nearest: bias_only, ia3 (re-scales inside attention and feed-forward).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from tunewright.core.errors import UserError
from tunewright.core.types import Applied
from tunewright.methods._tree import open_only
from tunewright.models.network import Network


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
        raise UserError(f"{type(network.inner).__name__} has no normalisation layer with weights", try_="method: bias_only")
    return Applied(trainable=trainable)


def is_norm(module: nn.Module) -> bool:
    """Whether a module normalises, by its type: torch's norms, or a leaf class called a norm that holds vectors only.

    The second half is for models that write their own root-mean-square norm (LlamaRMSNorm, T5LayerNorm).
    """
    if isinstance(module, (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, _NormBase)):
        return True
    leaf = next(module.children(), None) is None
    return leaf and type(module).__name__.endswith("Norm") and all(parameter.ndim == 1 for parameter in module.parameters())
