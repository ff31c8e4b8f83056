"""One optimizer step over a window of batches: sums and counts, so that the window's cut does not change the gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tunewright.core.seed import random_states, restore_random_states
from tunewright.datasets.encoded import batch, targets_of
from tunewright.modalities.image.annotated import MIRRORED
from tunewright.training import in_batch as whole_batch
from tunewright.training.context import TrainingContext
from tunewright.training.distillation import answered
from tunewright.training.microbatches import is_out_of_memory


@dataclass(frozen=True)
class StepOut:
    """Sum of the rows' losses, sum of what they weigh, and the gradient's norm before clipping."""

    loss_sum: float
    count: float
    grad_norm: float

    @property
    def loss(self) -> float:
        return self.loss_sum / self.count


class Diverged(ArithmeticError):  # noqa: N818 - a state of the run, told by name
    """The loss or the gradient is not a number any more; the weights are those before the step."""


def optimizer_step(
    job: TrainingContext,
    optimizer: torch.optim.Optimizer,
    window: list[np.ndarray],
    regularizers: tuple[Callable[[], Tensor], ...],
) -> StepOut:
    """Gradients of the window's mean loss, clipping, one update; raises Diverged before a bad update is made.

    The mean is over the whole window: each batch contributes its sum divided by the window's count, which the targets
    tell before any forward pass. A pass that does not fit into memory is made in halves from then on.
    """
    states = random_states()
    while True:
        batches = [job.passes.cut(job.world.share(rows)) for rows in window]
        passes = [part for parts in batches for part in parts]
        try:
            whole = getattr(job.head, "WHOLE_BATCH", False)
            loss_sum, count = whole_batch.backward(job, batches) if whole else _backward(job, passes, _idle(job, passes, window))
            break
        except RuntimeError as error:
            if not is_out_of_memory(error) or job.sharded:  # the others wait inside the pass that this one would make again
                raise
        job.passes.halve(max(map(len, passes)))
        restore_random_states(states)
    moving = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if not job.sharded:  # else they came as sums
        job.gradients.add_up(job.world, moving)
    for penalty in regularizers:
        penalty().backward()
    clip = job.recipe.training.max_grad_norm
    norm = job.gradients.clip(moving, clip)
    if not (np.isfinite(loss_sum) and np.isfinite(norm)):
        raise Diverged(f"loss {loss_sum / count:.4g}, gradient norm {norm:.4g}")
    optimizer.step()
    return StepOut(loss_sum, count, norm)


def _backward(job: TrainingContext, passes: list[np.ndarray], idle: list[np.ndarray]) -> tuple[float, float]:
    """Gradients of the mean loss over all passes; returns the losses' sum and what they weigh. ``idle`` passes count nothing."""
    device = job.network.device
    targets = [targets_of(job.train, rows, device) for rows in passes]
    counted = zip(passes, targets, strict=True)
    own = float(sum(_weighed(job, rows, job.head.counts(part, job.weights)).sum() for rows, part in counted))
    count = job.world.all_reduce_sum(own) or 1.0  # 0 where answers were cut off
    job.gradients.clear()
    loss_sum = torch.zeros((), device=device)
    for rows, wanted in zip(passes, targets, strict=True):
        loss = _loss(job, rows, wanted)
        (loss / count).backward()
        loss_sum += loss.detach()
    for rows in idle:
        (_loss(job, rows, targets_of(job.train, rows, device)) * 0).backward()
    return job.world.all_reduce_sum(float(loss_sum)), count


def _idle(job: TrainingContext, passes: list[np.ndarray], window: list[np.ndarray]) -> list[np.ndarray]:
    """Passes of one row that a process makes beside others that have more: each needs every share of the weights."""
    return [window[0][:1]] * (int(job.world.all_reduce_max(len(passes))) - len(passes)) if job.sharded else []


def _loss(job: TrainingContext, rows: np.ndarray, wanted: Tensor) -> Tensor:
    """The sum of a pass's losses, times what its rows weigh."""
    logits, wanted, said = _answered(job, rows, wanted)
    losses = job.head.losses(logits, wanted, job.network.labels, job.head_settings, job.weights)
    losses = losses if job.teacher is None else job.teacher.mixed(losses, logits, wanted, said, job.weights)
    return _weighed(job, rows, losses).sum()


def _weighed(job: TrainingContext, rows: np.ndarray, values: Tensor) -> Tensor:
    """A value of each row of a pass, (batch,), times what the row weighs."""
    return values if job.row_weights is None else values * job.row_weights[torch.from_numpy(rows).to(values.device)]


def _answered(job: TrainingContext, rows: np.ndarray, wanted: Tensor) -> tuple[Any, Tensor, Any]:
    """The network's output for some rows, what it should be, and what a teacher says; of changed images where they are."""
    mixing, inputs = getattr(job.train.encoded, "mixing", None), None
    if mixing is not None and mixing.active:
        labels = job.network.labels
        soft = functional.one_hot(wanted, labels.outputs).float() if labels.exclusive else wanted
        return *job.forward.mixed(job.train, rows, soft, mixing), None
    if getattr(job.train.encoded, "mirror", 0):
        inputs = batch(job.train, rows, {*job.network.reads, MIRRORED}, job.network.device, training=True)
        wanted = job.head.mirrored(wanted, inputs.pop(MIRRORED))
    output, said = answered(job.teacher, job.forward, job.train, rows, inputs)
    return output, wanted, said
