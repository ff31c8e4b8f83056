"""EMA: an exponential moving average of the weights over the steps.

Source: Polyak and Juditsky 1992 for averaging; the warm-up of the decay as min(decay, (1 + t) / (10 + t)) is TensorFlow's rule.
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
    return {name: parameter.detach().clone() for name, parameter in parameters.items()}


@torch.no_grad()
def update(memory: Tensors, parameters: Tensors, step: int, settings: Settings) -> None:
    """The average becomes d · average + (1 - d) · weights."""
    decay = min(settings.decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(memory.values()), [parameters[name].detach() for name in memory], 1 - decay)


def observe(memory: Tensors, parameters: Tensors, value: float, settings: Settings) -> None:
    """Evaluations do not matter to it."""


def finish(memory: Tensors, best: Tensors, score: Callable[[Tensors], float], settings: Settings) -> Averaged:
    return Averaged(dict(memory), f"moving average of the weights with decay {settings.decay:g}")
