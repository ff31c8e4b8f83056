"""Train a low-rank change beside frozen weights (LoRA).

Source: Hu et al. 2022, "LoRA", section 4.1: W x + (alpha / r) B A x, with B zero at the start. Rank-stabilised scaling:
Kalajdzievski 2023, section 3. Two learning rates: Hayou et al. 2024, "LoRA+", section 4. The default adapts every
linear layer of the blocks rather than queries and values alone, because Dettmers et al. 2023, "QLoRA", section 4 (figure 2)
found that the number of adapted layers decides whether full fine-tuning is matched, and the rank hardly matters.
When: the default choice for adapting a model: near full fine-tuning with about 1 % of the weights, small files to keep
per task, and nothing to pay at prediction once merged.
When not: the vocabulary itself must change (full), or very many rows of a distant domain, where full learns more.
Nearest: dora (direction and length apart), ia3 (fewer weights still), bottleneck (not mergeable).
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from tunewright.core.errors import UserError
from tunewright.core.types import Applied
from tunewright.methods._lora_conv import LoraConv, is_adaptable, refuse_lookers
from tunewright.methods._lora_product import LoraProduct
from tunewright.methods._low_rank import LowRank, LowRankSettings, install, plan_from_peft, plan_from_settings, saved_keys
from tunewright.methods._select import linears_in
from tunewright.models.network import Network
from tunewright.models.peft_format import fill


class Settings(LowRankSettings):
    """LoRA's settings."""


class LoraLinear(LowRank):
    """W x + b + scaling · B A x."""

    def forward(self, x: Tensor) -> Tensor:
        base = self.base_layer
        dropped = self.dropout and self.training
        if type(base) is nn.Linear and not dropped and not base.weight.requires_grad and torch.is_grad_enabled():
            found: Tensor = LoraProduct.apply(x, base.weight, base.bias, self.lora_A, self.lora_B, self.scaling)
            return found
        plain: Tensor = base(x)
        return plain + self.change(x).to(plain.dtype)


def _make(base_layer: nn.Module, rank: int, scaling: float, dropout: float) -> LowRank:
    kind = LoraConv if isinstance(base_layer, nn.Conv2d) else LoraLinear
    return kind(base_layer, rank, scaling, dropout)


def apply(network: Network, settings: Settings) -> Applied:
    """Wrap the targeted linear layers, or the convolutions of a network whose blocks have none; B starts at zero."""
    applied = install(network, plan_from_settings(network, settings, is_adaptable), _make, settings.plus_ratio)
    if any(isinstance(module, LoraConv) for module in network.modules()):
        refuse_lookers(network)
    return applied


def unfit(network: Network) -> str | None:
    """Why nothing can be put beside the network's layers, in words; None where it can."""
    try:
        plan_from_settings(network, Settings(), is_adaptable)
        if not linears_in(network, None):  # convolutions, which a network may look into
            apply(deepcopy(network), Settings(rank=1))
    except UserError as error:
        return error.what
    return None


def load(network: Network, config: dict[str, Any], state: dict[str, Tensor]) -> Applied:
    """Apply a LoRA adapter that tunewright or PEFT saved."""
    plan = plan_from_peft(config, state)
    applied = install(network, plan, _make)
    fill(network, config, saved_keys(network, plan), state)
    return applied
