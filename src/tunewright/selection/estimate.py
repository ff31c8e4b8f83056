"""Time and memory before the run: measured on one real batch of the run's own shapes, not looked up."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tunewright.core.device import peak_memory
from tunewright.core.seed import random_states, restore_random_states
from tunewright.engine.examples import batch, targets_of
from tunewright.engine.job import Job
from tunewright.engine.predict import evaluation_mode

# Bytes of optimiser state per trained value: two float32 moments for Adam, one for momentum; Adafactor keeps rows and columns.
_STATE_BYTES = {"adamw": 8, "lion": 4, "sgd": 4, "adafactor": 1}


@dataclass(frozen=True)
class Estimate:
    """Seconds of training with its evaluations, and the largest memory in bytes."""

    seconds: float
    bytes: int


def estimate(job: Job) -> Estimate:
    """Time two training steps and one evaluation batch; add up weights, gradients, optimiser state and activations.

    Nothing is left behind: no update is made, gradients are dropped, random states are put back.
    """
    states = random_states()
    windows = job.windows(0)
    tokens = sum(int(_padded(job, rows)) for window in windows for rows in window)
    by_size = sorted((rows for window in windows for rows in window), key=lambda rows: _padded(job, rows))
    typical, largest = by_size[len(by_size) // 2], by_size[-1]
    activations = _activation_bytes(job, largest)
    step = min(_seconds(job, typical) for _ in range(2)) / _padded(job, typical)
    evaluation = _evaluation_seconds(job)
    training = job.recipe.training
    epochs = job.total_steps / max(1, job.steps_per_epoch)
    seconds = epochs * (tokens * step + training.evaluations_per_epoch * evaluation)
    restore_random_states(states)
    trained = sum(parameter.numel() for parameter in job.network.parameters() if parameter.requires_grad)
    state = trained * (4 + _STATE_BYTES.get(job.recipe.rates.optimiser.name, 8) + 4)  # gradient, optimiser, best weights kept
    held = peak_memory(job.network.device)
    budget = training.budget_seconds
    return Estimate(seconds if budget is None else min(seconds, budget), held + state + activations)


def _padded(job: Job, rows: np.ndarray) -> int:
    """Tokens of a batch with its padding."""
    return int(len(rows) * max(job.train.encoded.lengths[row] for row in rows))


def _loss(job: Job, rows: np.ndarray) -> Tensor:
    wanted = targets_of(job.train, rows, job.network.device)
    loss: Tensor = job.head.losses(job.forward(job.train, rows), wanted, job.network.labels, job.head_settings, job.weights).sum()
    return loss


def _seconds(job: Job, rows: np.ndarray) -> float:
    started = time.perf_counter()
    _loss(job, rows).backward()
    if job.network.device.type == "cuda":
        torch.cuda.synchronize(job.network.device)
    seconds = time.perf_counter() - started
    job.network.zero_grad(set_to_none=True)
    return seconds


def _evaluation_seconds(job: Job) -> float:
    """Seconds for the validation rows, from one batch of them."""
    rows = np.arange(min(64, len(job.validation)))
    with evaluation_mode(job.network):
        started = time.perf_counter()
        job.network(batch(job.network, job.validation, rows)).float().cpu()
        seconds = time.perf_counter() - started
    return seconds * len(job.validation) / len(rows)


def _activation_bytes(job: Job, rows: np.ndarray) -> int:
    """Bytes that autograd keeps for the backward pass of a batch, parameters not counted."""
    parameters = {parameter.untyped_storage().data_ptr() for parameter in job.network.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        _loss(job, rows)
    return sum(kept.values())
