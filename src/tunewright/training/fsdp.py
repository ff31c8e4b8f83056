"""Sharding: each process keeps a share of the weights, of their gradients and of the optimizer's state.

A layer's whole weights are there only while it computes; its gradients are summed and dealt out as they come. torch's
fully_shard does it. The network is whole before training, when each process hands its weights over, and after it.
Source: Rajbhandari et al. 2020, ZeRO, section 5.3 (all three parts); Zhao et al. 2023, PyTorch FSDP, section 3.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from tunewright.core.errors import UserError
from tunewright.core.sharding import whole
from tunewright.models.network import Network
from tunewright.training.context import TrainingContext
from tunewright.training.forward import Forward
from tunewright.training.gradients import Gradients

_OPTIMISERS = ("adamw", "lion", "sgd")  # whose state has the weights' own shapes


@contextmanager
def in_shares(job: TrainingContext) -> Iterator[TrainingContext]:
    """The job with its network dealt out among the processes; afterwards the first one has the whole network again.

    One process alone keeps the job as it is. UserError where the recipe asks for what shares cannot do.
    """
    if job.world.alone or not job.recipe.training.shard:
        yield job
        return
    _check(job)
    network = _handed_over(job.network)
    _deal_out(network, job)
    forward, gradients = Forward(network, job.forward.precision), Gradients(network)
    with warnings.catch_warnings():
        # T5's blocks hand on views, which nothing changes in place: tests compare their weights with one process's
        warnings.filterwarnings("ignore", message=r"FSDP2-wrapped module .* returned a view")
        yield replace(job, network=network, forward=forward, gradients=gradients, sharded=True)
    _take_back(job.network, network, keep=job.world.is_main_process)


def _check(job: TrainingContext) -> None:
    recipe = job.recipe
    optimizer = recipe.optimization.optimizer.name
    if optimizer not in _OPTIMISERS:
        known = ", ".join(_OPTIMISERS)
        raise UserError(
            f"training.shard does not go with the optimizer {optimizer}", expected=known, try_="optimization.optimizer=adamw"
        )
    without = {"averaging": bool(recipe.averaging), "distillation": recipe.distillation is not None}
    for name in (name for name, asked in without.items() if asked):
        raise UserError(f"training.shard does not go with {name} yet", expected="one of them", try_="training.shard=false")


def _handed_over(network: Network) -> Network:
    """A second network with the same weights in the same memory; the first keeps its modules and no weights."""
    same = {id(parameter): nn.Parameter(parameter.detach(), parameter.requires_grad) for parameter in network.parameters()}
    taken = deepcopy(network, {**same, id(network.processor): network.processor})
    for parameter in network.parameters():
        parameter.data = parameter.data.new_empty(0)
    return taken


def _deal_out(network: Network, job: TrainingContext) -> None:
    """Each block by itself, and what is around them together."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(network.device.type, (job.world.size,))
    for module in (*_blocks(network), network):
        shared: Any = fully_shard(module, mesh=mesh)
        shared.set_gradient_divide_factor(1.0)  # a step's losses are divided by their count already
        shared.set_force_sum_reduction_for_comms(True)


def _blocks(network: Network) -> Iterable[nn.Module]:
    """The repeated blocks: members of a list, and not what stands beside them (a decoder's embedding) or inside them."""
    modules, named = dict(network.named_modules()), [set(group.modules) for group in network.stack.blocks]
    tops = (name for names in named for name in sorted(names) if name.rpartition(".")[0] not in names)
    return [modules[name] for name in tops if name.rpartition(".")[2].isdigit()]


def _take_back(network: Network, shares: Network, *, keep: bool) -> None:
    """The first process's network gets its weights again; the others only help."""
    made = dict(shares.named_parameters())
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            full = whole(made[name])
            if keep:
                parameter.data = full.detach().to(parameter.device)
        state = network.state_dict(keep_vars=True)
        for name, buffer in shares.named_buffers():
            if name in state:
                state[name].copy_(buffer)
