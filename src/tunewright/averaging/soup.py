"""Greedy soup: the mean of those evaluations' weights that validation wants in.

Source: Wortsman et al. 2022 (model soups), recipe 1, here over the evaluations of one run. When: restarts or long flat ends
give several good weights. When not: evaluations are few and far apart in quality.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from tunewright.averaging import Averaged, Tensors

_VALUE = "value"


class Settings(BaseModel):
    """How many candidates are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(5, ge=2, le=50, description="Best evaluations kept in memory as ingredients (a guess).")


def begin(parameters: Tensors, settings: Settings) -> Tensors:
    return {}


def update(memory: Tensors, parameters: Tensors, step: int, settings: Settings) -> None:
    """Steps between evaluations do not matter to it."""


def observe(memory: Tensors, parameters: Tensors, value: float, settings: Settings) -> None:
    """Keep these weights if they are among the best so far; ``memory`` holds '<number>/<name>' and '<number>/value'."""
    ranked = _ranked(memory)
    if len(ranked) == settings.size:
        worst = ranked[-1]
        if float(memory[f"{worst}/{_VALUE}"]) >= value:
            return
        for key in [key for key in memory if key.startswith(f"{worst}/")]:
            del memory[key]
    number = max((int(key.split("/", 1)[0]) for key in memory), default=-1) + 1
    memory[f"{number}/{_VALUE}"] = torch.tensor(value, dtype=torch.float64)
    memory.update({f"{number}/{name}": parameter.detach().clone() for name, parameter in parameters.items()})


@torch.no_grad()
def finish(memory: Tensors, best: Tensors, score: Callable[[Tensors], float], settings: Settings) -> Averaged:
    """Add candidates from the best down, each kept if the mean with it is no worse."""
    soup, ingredients = {name: tensor.clone() for name, tensor in best.items()}, 1
    value = score(soup)
    rows = [(1.0, value)]
    for number in _ranked(memory):
        candidate = {name: memory[f"{number}/{name}"] for name in soup}
        if all(torch.equal(candidate[name], best[name]) for name in best):
            continue  # the soup began with it
        trial = {name: _stirred_in(soup[name], candidate[name], ingredients) for name in soup}
        trial_value = score(trial)
        if trial_value >= value:
            soup, value, ingredients = trial, trial_value, ingredients + 1
        rows.append((float(ingredients), trial_value))
    return Averaged(soup, f"greedy soup of {ingredients} evaluations", ("ingredients", "score"), tuple(rows))


def _stirred_in(soup: Tensor, candidate: Tensor, ingredients: int) -> Tensor:
    """The mean of one ingredient more; whole numbers stay the best evaluation's."""
    return torch.lerp(soup, candidate, 1 / (ingredients + 1)) if soup.is_floating_point() else soup


def _ranked(memory: Tensors) -> list[int]:
    """Numbers of the candidates, best first, the earlier of equals first."""
    values = {int(key.split("/", 1)[0]): float(tensor) for key, tensor in memory.items() if key.endswith(f"/{_VALUE}")}
    return sorted(values, key=lambda number: (-values[number], number))
