"""The optimizer over what is open: groups by depth join as layers open, and each step sets every group's rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tunewright.core.registry import load_part
from tunewright.core.types import EvaluationResult
from tunewright.training.context import TrainingContext
from tunewright.training.parameter_groups import param_groups


def build_optimizer(job: TrainingContext, open_from: int) -> torch.optim.Optimizer:
    """The recipe's optimizer over the groups that are open; frozen weights are in none of them."""
    part = load_part("optimizers", job.recipe.optimization.optimizer.name)
    optimizer: torch.optim.Optimizer = part.build(
        _groups(job, open_from), part.Settings(**job.recipe.optimization.optimizer.settings)
    )
    return optimizer


def open_groups(optimizer: torch.optim.Optimizer, job: TrainingContext, open_from: int) -> None:
    """Add the groups of newly opened layers; what is already optimized keeps its state."""
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    for group in _groups(job, open_from):
        new = [
            (name, parameter)
            for name, parameter in zip(group["names"], group["params"], strict=True)
            if id(parameter) not in held
        ]
        if new:
            optimizer.add_param_group(group | {"names": [name for name, _ in new], "params": [parameter for _, parameter in new]})


def set_rates(
    optimizer: torch.optim.Optimizer, job: TrainingContext, progress: float, history: Sequence[EvaluationResult]
) -> None:
    """Each group's rate: its own base rate times the schedule's factor."""
    schedule = load_part("schedules", job.recipe.optimization.schedule.name)
    factor = schedule.factor(progress, schedule.Settings(**job.recipe.optimization.schedule.settings), history)
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor


def rates_by_depth(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """The largest rate in force at each depth."""
    rates: dict[str, float] = {}
    for group in optimizer.param_groups:
        depth = str(group["depth"])
        rates[depth] = max(rates.get(depth, 0.0), float(group["lr"]))
    return rates


def _groups(job: TrainingContext, open_from: int) -> list[dict[str, Any]]:
    optimization = job.recipe.optimization
    return param_groups(
        job.network,
        job.applied,
        backbone=optimization.learning_rate,
        head=optimization.head_learning_rate,
        layer_decay=optimization.layer_decay,
        learning_rates_by_depth=optimization.learning_rates_by_depth,
        weight_decay=optimization.weight_decay,
        open_from=open_from,
    )
