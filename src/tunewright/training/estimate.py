"""Time and memory before the run: measured on batches of the run's own rows, stage by stage, not looked up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tunewright.core.device import peak_memory
from tunewright.core.registry import load_part
from tunewright.core.seed import random_states, restore_random_states
from tunewright.datasets.encoded import EncodedDataset, targets_of
from tunewright.training.context import TrainingContext
from tunewright.training.distillation import answered
from tunewright.training.feature_cache import FeatureCache
from tunewright.training.forward import Forward
from tunewright.training.predict import passes as predicted_passes
from tunewright.training.stages import moving_names, open_layers, reads_by_cut, stages_of

# Bytes of optimizer state per trained value: two float32 moments for Adam, one for momentum; Adafactor keeps rows and columns.
_STATE_BYTES = {"adamw": 8, "lion": 4, "sgd": 4, "adafactor": 1}
_VALIDATION_ROWS = 32
_SAMPLE = 2**22  # values of a timed update: more than processors cache, less than a tenth of a small encoder's memory
_WIDTH = 256
_BESIDE = 2.5  # times what a pass keeps for its way back: gradients, copies, holes (2 to 3 in benchmarks/estimate.py)


@dataclass(frozen=True)
class Estimate:
    """Seconds of training with its evaluations, and the largest memory in bytes."""

    seconds: float
    bytes: int


def estimate(job: TrainingContext) -> Estimate:
    """Time passes, updates and evaluation of the run's first and last stage; add up weights, gradients and what is kept.

    Stages between are taken to lie between. Nothing is left behind: no update is made, gradients are dropped, random
    states are put back, and everything that ever opens is open.
    """
    states, training = random_states(), job.recipe.training
    epochs = job.total_steps / max(1, job.steps_per_epoch)
    reads = reads_by_cut(job.network, job.applied.trainable, stages_of(job), epochs)
    passes = [part for window in job.windows(0) for rows in window for part in job.passes.cut(rows)]
    by_size = sorted(passes, key=lambda rows: _padded(job.train, rows))
    trial = _Trial(job, by_size[len(by_size) // 2], reads)
    ends = {cut: trial.seconds_per_token(cut) for cut in {max(reads), min(reads)}}
    tokens = sum(_padded(job.train, rows) for rows in passes)
    checked = training.evaluations_per_epoch * int(job.validation.encoded.lengths.sum())
    seconds = trial.keeping * (int(job.train.encoded.lengths.sum()) + int(job.validation.encoded.lengths.sum()))
    held = peak_memory(job.network.device)
    update = _update_seconds_per_value(job, _values(job, min(reads)))
    for cut, times in reads.items():
        step, evaluation = _between(cut, ends)
        seconds += times * (tokens * step + checked * evaluation + job.steps_per_epoch * _values(job, cut) * update)
    activations = int(_activation_bytes(job, by_size[-1]) * (_BESIDE if job.network.device.type == "cpu" else 1))
    restore_random_states(states)
    trained = sum(parameter.numel() for parameter in job.network.parameters() if parameter.requires_grad)
    state = trained * (
        4 + _STATE_BYTES.get(job.recipe.optimization.optimizer.name, 8) + 4
    )  # gradient, optimizer, best weights kept
    budget = training.budget_seconds
    return Estimate(seconds if budget is None else min(seconds, budget), held + state + activations)


class _Trial:
    """The run on two small sets of its rows: what it keeps of them is thrown away afterwards."""

    def __init__(self, job: TrainingContext, rows: np.ndarray, reads: Mapping[int, float]) -> None:
        store = None if job.forward.features is None else FeatureCache(memory=2**30, disk=0)
        forward = Forward(job.network, job.forward.precision, store)
        shown = np.arange(min(_VALIDATION_ROWS, len(job.validation)))
        self.rows = np.arange(len(rows))
        self.job = replace(job, forward=forward, train=job.train.subset(rows), validation=job.validation.subset(shown))
        self.tokens = _padded(job.train, rows)
        forward.plan(reads, self.job.train, self.job.validation)
        self.keeping = 0.0  # seconds per token for computing once what is kept
        if any(forward.starts_above(cut) for cut in reads):
            whole = _best_seconds(lambda: list(predicted_passes(job.network, self.job.train, precision=forward.precision)))
            self.keeping = whole / self.tokens

    def seconds_per_token(self, cut: int) -> tuple[float, float]:
        """Of a training step, and of an evaluation, with the cut at a depth."""
        job, forward = self.job, self.job.forward
        forward.cut_at(open_layers(job.network, job.applied.trainable, cut))
        step = _best_seconds(self._step)
        evaluation = _best_seconds(lambda: list(forward.evaluated(job.validation)))
        return step / self.tokens, evaluation / max(1, int(job.validation.encoded.lengths.sum()))

    def _step(self) -> None:
        job = self.job
        wanted = targets_of(job.train, self.rows, job.network.device)
        beside = job.teacher if job.teacher is not None and job.teacher.network is not None else None
        logits, _ = answered(beside, job.forward, job.train, self.rows)
        job.head.losses(logits, wanted, job.network.labels, job.head_settings, job.weights).sum().backward()
        job.network.zero_grad(set_to_none=True)


def _values(job: TrainingContext, cut: int) -> int:
    """How many values move with the cut at a depth."""
    return sum(job.network.get_parameter(name).numel() for name in moving_names(job.network, job.applied.trainable, cut))


def _update_seconds_per_value(job: TrainingContext, most: int) -> float:
    """Of clipping and one optimizer step, timed on values of its own: a small network's update can take as long as a pass."""
    choice = job.recipe.optimization.optimizer
    part = load_part("optimizers", choice.name)
    values = torch.nn.Parameter(torch.zeros(1 + min(_SAMPLE, most) // _WIDTH, _WIDTH, device=job.network.device))
    values.grad = torch.zeros_like(values)
    group = {"params": [values], "names": ["values"], "lr": 0.0, "base_lr": 0.0, "weight_decay": 0.0, "depth": 0}
    optimizer = part.build([group], part.Settings(**choice.settings))

    def update() -> None:
        job.gradients.clip([values], job.recipe.training.max_grad_norm)
        optimizer.step()

    update()  # makes the optimizer's state
    return _best_seconds(update) / values.numel()


def _activation_bytes(job: TrainingContext, rows: np.ndarray) -> int:
    """Bytes that autograd keeps for the backward pass of a batch with everything open, parameters not counted."""
    whole = Forward(job.network, job.forward.precision)
    whole.cut_at(open_layers(job.network, job.applied.trainable, 0))
    parameters = {parameter.untyped_storage().data_ptr() for parameter in job.network.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> None:  # kept by its own graph, a tensor would never be freed
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda nothing: nothing):
        whole(job.train, rows)
    return sum(kept.values())


def _best_seconds(run: Callable[[], object]) -> float:
    """The shorter of two; the first one may compute what is kept."""
    taken = []
    for _ in range(2):
        started = time.perf_counter()
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - started)
    return min(taken)


def _between(cut: int, ends: Mapping[int, tuple[float, float]]) -> tuple[float, float]:
    """Seconds per token of a cut between the highest and the lowest one, in proportion."""
    low, high = min(ends), max(ends)
    share = 0.0 if low == high else (cut - low) / (high - low)
    step, evaluation = (at_low + share * (at_high - at_low) for at_low, at_high in zip(ends[low], ends[high], strict=True))
    return step, evaluation


def _padded(examples: EncodedDataset, rows: np.ndarray) -> int:
    """Tokens of a batch with its padding."""
    return int(len(rows) * examples.encoded.lengths[rows].max())
