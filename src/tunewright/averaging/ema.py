"""EMA: an exponential moving average of the weights over the steps.

Source: Polyak and Juditsky 1992 for averaging; Kingma and Ba 2015, section 3, for the correction of the first steps' bias.
When: noisy ends of runs, high rates. When not: a schedule that already falls to zero gains little.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from pydantic import BaseModel, ConfigDict, Field

from tunewright.averaging import Averaged, Tensors


class Settings(BaseModel):
    """Memory of the average."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    decay: float = Field(
        0.99, gt=0, lt=1, description="Share of the old average kept at each step (a guess for runs of some hundred steps)."
    )


def begin(parameters: Tensors, settings: Settings) -> Tensors:
    return {name: value.detach().clone() for name, value in parameters.items() if value.is_floating_point()}


@torch.no_grad()
def update(memory: Tensors, parameters: Tensors, step: int, settings: Settings) -> None:
    """After step t, counted from 1: the sum of (1 - d) d^(t - i) · weights_i, divided by 1 - d^t so that the shares sum to 1."""
    share = (1 - settings.decay) / (1 - settings.decay**step)
    torch._foreach_lerp_(list(memory.values()), [parameters[name].detach() for name in memory], share)


def observe(memory: Tensors, parameters: Tensors, value: float, settings: Settings) -> None:
    """Evaluations do not matter to it."""


def finish(memory: Tensors, best: Tensors, score: Callable[[Tensors], float], settings: Settings) -> Averaged:
    return Averaged({**best, **memory}, f"moving average of the weights with decay {settings.decay:g}")
