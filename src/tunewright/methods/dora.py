"""Train the direction of each weight by low rank and its length freely (DoRA).

Source: Liu et al. 2024, "DoRA", section 4: W' = m · (W + ΔW) / ‖W + ΔW‖ per output, ΔW as in LoRA, m starting at ‖W‖;
the norm is taken as a constant in the backward pass (section 4.3).
When: as lora, at low ranks above all, where the paper finds it nearer to full fine-tuning.
When not: training time counts: the norm of every adapted weight is computed at each step.
Nearest: lora (same matrices, no lengths).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tunewright.core.types import Applied
from tunewright.methods._low_rank import LowRank, LowRankSettings, install, plan_from_peft, plan_from_settings, saved_keys
from tunewright.methods._tree import matrix
from tunewright.models.network import Network
from tunewright.models.peft_format import fill


class Settings(LowRankSettings):
    """DoRA's settings: LoRA's, for its direction half."""


class DoraLinear(LowRank):
    """m / ‖W + ΔW‖ · (W x + ΔW x) + b."""

    def __init__(self, base_layer: nn.Module, rank: int, scaling: float, dropout: float) -> None:
        super().__init__(base_layer, rank, scaling, dropout)
        rows = matrix(base_layer, self.weight.detach()).to(torch.float32)
        self.magnitude = nn.Parameter(torch.linalg.vector_norm(rows, dim=1))

    def forward(self, x: Tensor) -> Tensor:
        plain: Tensor = self.base_layer(x)
        with torch.no_grad():
            norm = torch.linalg.vector_norm(self.changed_weight(), dim=1)
        stretch = self.magnitude / norm
        change = self.change(x)
        bias = 0.0 if self.bias is None else self.bias
        output: Tensor = stretch * (plain - bias + change) + bias
        return output.to(plain.dtype)

    def merged_weight(self) -> Tensor:
        changed = self.changed_weight()
        stretch: Tensor = self.magnitude / torch.linalg.vector_norm(changed, dim=1)
        return changed * stretch.unsqueeze(1)


def apply(network: Network, settings: Settings) -> Applied:
    """Wrap the targeted linear layers; at the start m is the weight's own norm, so outputs are unchanged to rounding."""
    return install(network, plan_from_settings(network, settings), DoraLinear, settings.plus_ratio)


def load(network: Network, config: dict[str, Any], state: dict[str, Tensor]) -> Applied:
    """Apply a DoRA adapter that tunewright or PEFT saved."""
    plan = plan_from_peft(config, state)
    applied = install(network, plan, DoraLinear)
    fill(network, config, saved_keys(network, plan), state)
    return applied
