"""One optimiser step over a window of batches: sums and counts, so that the window's cut does not change the gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tunewright.engine.examples import targets_of
from tunewright.engine.job import Job


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


def optimiser_step(
    job: Job, optimiser: torch.optim.Optimizer, window: list[np.ndarray], penalties: tuple[Callable[[], Tensor], ...]
) -> StepOut:
    """Gradients of the window's mean loss, clipping, one update; raises Diverged before a bad update is made.

    The mean is over the whole window: each batch contributes its sum divided by the window's count, which the targets
    tell before any forward pass.
    """
    device = job.network.device
    targets = [targets_of(job.train, rows, device) for rows in window]
    count = float(sum(job.head.counts(part, job.weights).sum() for part in targets))
    optimiser.zero_grad(set_to_none=False)
    loss_sum = torch.zeros((), device=device)
    for rows, wanted in zip(window, targets, strict=True):
        logits = job.forward(job.train, rows)
        loss = job.head.losses(logits, wanted, job.network.labels, job.head_settings, job.weights).sum()
        (loss / count).backward()
        loss_sum += loss.detach()
    for penalty in penalties:
        penalty().backward()
    moving = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    clip = job.recipe.training.clip_norm
    norm = float(torch.nn.utils.clip_grad_norm_(moving, float("inf") if clip is None else clip))
    total = float(loss_sum)
    if not (np.isfinite(total) and np.isfinite(norm)):
        raise Diverged(f"loss {total / count:.4g}, gradient norm {norm:.4g}")
    optimiser.step()
    return StepOut(total, count, norm)
