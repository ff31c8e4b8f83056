"""Opening and closing layers: what has gradients, what has dropout, from the depth that is open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from torch.nn.modules.batchnorm import _BatchNorm

from tunewright.core.registry import load_part
from tunewright.core.types import Stage
from tunewright.models.network import Network
from tunewright.training.context import TrainingContext


def stages_of(job: TrainingContext) -> tuple[Stage, ...]:
    """When which layers open, as the recipe's unfreezing has it."""
    part = load_part("unfreezing", job.recipe.unfreezing.name)
    stack = job.network.stack
    lowest = min((stack.depth_of(name) for name in job.applied.trainable), default=stack.head.depth)
    settings = part.Settings(**job.recipe.unfreezing.settings)
    stages: tuple[Stage, ...] = part.stages(stack.depths, lowest, job.epochs, settings)
    if job.network.head_names:
        return stages
    # Nothing is new: a stage in which only the head would train is left out.
    moving = [stage for stage in stages if moving_names(job.network, job.applied.trainable, stage.open_from)]
    return (replace(moving[0], start=0.0), *moving[1:])


def moving_names(network: Network, trainable: Iterable[str], open_from: int) -> tuple[str, ...]:
    """Names of the parameters that move when layers of depth >= ``open_from`` are open; the head always does."""
    opened = (name for name in trainable if network.stack.depth_of(name) >= open_from)
    return (*opened, *network.head_names)


def cut_of(network: Network, trainable: Iterable[str], open_from: int) -> int:
    """The lowest depth at which something moves when layers of depth >= ``open_from`` are open."""
    return min(network.stack.depth_of(name) for name in moving_names(network, trainable, open_from))


def reads_by_cut(network: Network, trainable: Iterable[str], stages: Sequence[Stage], epochs: float) -> dict[int, float]:
    """How often each training row is read with the cut at each depth; stages that wait for scores count as equally long."""
    timed = all(stage.start <= 1 for stage in stages)
    starts = [stage.start if timed else place / len(stages) for place, stage in enumerate(stages)]
    reads: dict[int, float] = {}
    for stage, start, end in zip(stages, starts, [*starts[1:], 1.0], strict=True):
        cut = cut_of(network, trainable, stage.open_from)
        reads[cut] = reads.get(cut, 0.0) + max(0.0, end - start) * epochs
    return reads


def open_layers(network: Network, trainable: Iterable[str], open_from: int) -> int:
    """Give gradients to what moves and evaluation mode to all below it; returns the depth of the cut.

    Below the cut nothing changes and nothing is random: no gradient, no dropout, no running statistic.
    """
    moving = set(moving_names(network, trainable, open_from))
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in moving)
    cut = cut_of(network, trainable, open_from)
    network.train()
    if network.freeze_batch_norm:
        for module in network.modules():
            if isinstance(module, _BatchNorm):
                module.training = False
    modules = dict(network.named_modules())
    for group in network.stack.groups:
        if group.depth < cut:
            for name in group.modules:
                for module in modules[name].modules():  # parts that a method wrapped are inside
                    module.training = False
                for parent in _parents(name):  # what holds layers on both sides draws masks and drops layers of the lower ones
                    modules[parent].training = False
    return cut


def _parents(name: str) -> list[str]:
    """Names of the modules around one, without the network itself."""
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]
