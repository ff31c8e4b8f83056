"""Lion: the sign of a blend of momentum and gradient, one moment instead of two.

Source: Chen et al. 2023, algorithm 2; section 5 advises a rate 3 to 10 times smaller than AdamW's and a larger decay.
When: memory is short and batches are large. When not: small batches, where signs are noisy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """The two blends."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    beta1: float = Field(0.9, ge=0, lt=1, description="Momentum's share in the step (algorithm 2).")
    beta2: float = Field(0.99, ge=0, lt=1, description="Memory of the momentum (algorithm 2).")


@final
class Lion(torch.optim.Optimizer):
    """step = rate · (sign(beta1 m + (1 - beta1) g) + decay · w); m = beta2 m + (1 - beta2) g."""

    def __init__(self, groups: list[dict[str, Any]], beta1: float, beta2: float) -> None:
        super().__init__(groups, {"lr": 1e-4, "weight_decay": 0.0, "beta1": beta1, "beta2": beta2})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is None
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"]
                direction = momentum.lerp(weight.grad, 1 - group["beta1"]).sign_()
                weight.mul_(1 - group["lr"] * group["weight_decay"]).add_(direction, alpha=-group["lr"])
                momentum.lerp_(weight.grad, 1 - group["beta2"])


def build(groups: list[dict[str, Any]], settings: Settings) -> torch.optim.Optimizer:
    """Lion over the groups."""
    return Lion(groups, settings.beta1, settings.beta2)
