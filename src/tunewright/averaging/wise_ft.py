"""WiSE-FT: the straight line from the start's weights to the end's, and the point on it that validation prefers.

Source: Wortsman et al. 2022 (robust fine-tuning), section 3. When: what the base model knew must not be lost, or rows will
shift. When not: the start cannot do the task at all (a random head: begin with a linear probe).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from pydantic import BaseModel, ConfigDict, Field

from tunewright.averaging import Averaged, Tensors


class Settings(BaseModel):
    """The points tried, or the one wanted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    points: int = Field(
        11, ge=3, le=101, description="Points on the line, start and end included (section 3: steps of 0.1 or less)."
    )
    alpha: float | None = Field(
        None, ge=0, le=1, description="Take this point (0 start, 1 end) whatever validation says; None chooses."
    )


def begin(parameters: Tensors, settings: Settings) -> Tensors:
    return {name: parameter.detach().clone() for name, parameter in parameters.items()}


def update(memory: Tensors, parameters: Tensors, step: int, settings: Settings) -> None:
    """Only the two ends matter."""


def observe(memory: Tensors, parameters: Tensors, value: float, settings: Settings) -> None:
    """Only the two ends matter."""


def finish(memory: Tensors, best: Tensors, score: Callable[[Tensors], float], settings: Settings) -> Averaged:
    """Score the line; of equal points the nearest to the start, which forgets least."""
    alphas = [point / (settings.points - 1) for point in range(settings.points)]
    curve = [(alpha, score(between(memory, best, alpha))) for alpha in alphas]
    chosen = settings.alpha if settings.alpha is not None else max(curve, key=lambda row: (row[1], -row[0]))[0]
    return Averaged(between(memory, best, chosen), f"WiSE-FT at alpha {chosen:.2f}", ("alpha", "score"), tuple(curve))


@torch.no_grad()
def between(start: Tensors, end: Tensors, alpha: float) -> Tensors:
    """(1 - alpha) · start + alpha · end; the ends exactly, and whole numbers always from the end."""
    if alpha in (0.0, 1.0):
        return {name: (end if alpha else start)[name].clone() for name in end}
    return {
        name: torch.lerp(start[name], value, alpha) if value.is_floating_point() else value.clone() for name, value in end.items()
    }
