"""Scoring rows during and after training with the task's own metrics."""

from __future__ import annotations

import numpy as np
import torch

from tunewright.core.parts import load_part
from tunewright.core.types import Labels, Predictions
from tunewright.engine.examples import Examples
from tunewright.engine.job import Job


def validation_scores(job: Job) -> dict[str, float]:
    """Loss and every metric of the head that is defined on the validation rows."""
    logits = job.forward.all_rows(job.validation)
    scores = {"loss": mean_loss(job, job.validation, logits)}
    targets = job.validation.targets
    assert targets is not None
    predictions = job.head.decode(logits, job.network.labels)
    for name in dict.fromkeys((job.monitor, *job.head.METRICS)):
        value = scores["loss"] if name == "loss" else measure(name, targets, predictions, job.network.labels)
        if value is not None:
            scores[name] = float(value)
    return scores


def mean_loss(job: Job, examples: Examples, logits: np.ndarray) -> float:
    """Mean loss over all rows, weighed as in training."""
    assert examples.targets is not None
    targets, weights = torch.from_numpy(examples.targets), None if job.weights is None else job.weights.cpu()
    losses = job.head.losses(torch.from_numpy(logits), targets, job.network.labels, job.head_settings, weights)
    return float(losses.sum() / job.head.counts(targets, weights).sum())


def measure(name: str, targets: np.ndarray, predictions: Predictions, labels: Labels) -> float | None:
    """One metric's value, None where it is undefined."""
    metric = load_part("metrics", name)
    read = predictions.probabilities if metric.NEEDS == "probabilities" else predictions.values
    value: float | None = None if read is None else metric.value(targets, read, labels)
    return value


def higher_is_better(name: str) -> bool:
    """The direction of a metric; 'loss' is best low."""
    return name != "loss" and bool(load_part("metrics", name).HIGHER_IS_BETTER)
