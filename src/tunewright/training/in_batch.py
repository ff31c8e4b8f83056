"""Gradients where each row's loss looks at its whole batch: exact, however little memory a pass may take.

A batch of one pass goes the plain way. A larger one is embedded in passes without gradients, the loss gives the gradient of
each vector, and every pass is made again to carry it on: one more forward pass for a batch of any size.
Source: Gao et al. 2021, Scaling Deep Contrastive Learning Batch Size under Memory Limited PreparedRun (GradCache), section 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tunewright.core.seed import random_states, restore_random_states
from tunewright.datasets.encoded import targets_of
from tunewright.training.context import TrainingContext
from tunewright.training.distillation import answered


def backward(job: TrainingContext, batches: Sequence[Sequence[np.ndarray]]) -> tuple[float, float]:
    """Gradients of the mean loss over some batches, each cut into passes; returns the losses' sum and what they weigh."""
    device = job.network.device
    targets = [torch.cat([targets_of(job.train, rows, device) for rows in parts]) for parts in batches]
    count = float(sum(job.head.counts(wanted, job.weights).sum() for wanted in targets))
    job.gradients.clear()
    loss_sum = torch.zeros((), device=device)
    for parts, wanted in zip(batches, targets, strict=True):
        if len(parts) == 1:
            loss = _loss(job, *answered(job.teacher, job.forward, job.train, parts[0]), wanted)
            (loss / max(count, 1.0)).backward()
        else:
            loss = _cached(job, parts, wanted, max(count, 1.0))
        loss_sum += loss.detach()
    return float(loss_sum), max(count, 1.0)


def _loss(job: TrainingContext, vectors: Tensor, said: Tensor | None, wanted: Tensor) -> Tensor:
    losses: Tensor = job.head.losses(vectors, wanted, job.network.labels, job.head_settings, job.weights)
    return (losses if job.teacher is None else job.teacher.mixed(losses, vectors, wanted, said, job.weights)).sum()


def _cached(job: TrainingContext, parts: Sequence[np.ndarray], wanted: Tensor, count: float) -> Tensor:
    """The loss of a batch in several passes, its gradients added; dropout and draws are the same both times."""
    states, vectors, said = [], [], []
    for rows in parts:
        states.append(random_states())
        with torch.no_grad():
            ours, theirs = answered(job.teacher, job.forward, job.train, rows)
            vectors.append(ours.detach())
            said.append(theirs)
    end = random_states()
    leaf = torch.cat(vectors).requires_grad_()
    loss = _loss(job, leaf, None if job.teacher is None else torch.cat(said), wanted)
    (loss / count).backward()
    assert leaf.grad is not None
    for rows, state, slope in zip(parts, states, leaf.grad.split([len(made) for made in vectors]), strict=True):
        restore_random_states(state)
        job.forward(job.train, rows).backward(slope)
    restore_random_states(end)
    return loss
