"""The optimiser over what is open: groups by depth join as layers open, and each step sets every group's rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tunewright.core.registry import load_part
from tunewright.core.types import Evaluated
from tunewright.training.context import Job
from tunewright.training.parameter_groups import param_groups


def build_optimiser(job: Job, open_from: int) -> torch.optim.Optimizer:
    """The recipe's optimiser over the groups that are open; frozen weights are in none of them."""
    part = load_part("optimisers", job.recipe.rates.optimiser.name)
    optimiser: torch.optim.Optimizer = part.build(_groups(job, open_from), part.Settings(**job.recipe.rates.optimiser.settings))
    return optimiser


def open_groups(optimiser: torch.optim.Optimizer, job: Job, open_from: int) -> None:
    """Add the groups of newly opened layers; what is already optimised keeps its state."""
    held = {id(parameter) for group in optimiser.param_groups for parameter in group["params"]}
    for group in _groups(job, open_from):
        new = [
            (name, parameter)
            for name, parameter in zip(group["names"], group["params"], strict=True)
            if id(parameter) not in held
        ]
        if new:
            optimiser.add_param_group(group | {"names": [name for name, _ in new], "params": [parameter for _, parameter in new]})


def set_rates(optimiser: torch.optim.Optimizer, job: Job, progress: float, history: Sequence[Evaluated]) -> None:
    """Each group's rate: its own base rate times the schedule's factor."""
    schedule = load_part("schedules", job.recipe.rates.schedule.name)
    factor = schedule.factor(progress, schedule.Settings(**job.recipe.rates.schedule.settings), history)
    for group in optimiser.param_groups:
        group["lr"] = group["base_lr"] * factor


def rates_by_depth(optimiser: torch.optim.Optimizer) -> dict[str, float]:
    """The largest rate in force at each depth."""
    rates: dict[str, float] = {}
    for group in optimiser.param_groups:
        depth = str(group["depth"])
        rates[depth] = max(rates.get(depth, 0.0), float(group["lr"]))
    return rates


def _groups(job: Job, open_from: int) -> list[dict[str, Any]]:
    rates = job.recipe.rates
    return param_groups(
        job.network,
        job.applied,
        backbone=rates.backbone,
        head=rates.head,
        layer_decay=rates.layer_decay,
        per_depth=rates.per_depth,
        weight_decay=rates.weight_decay,
        open_from=open_from,
    )
