"""Scoring examples during and after training with the task's own metrics; no more is held than decoding needs."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunewright.core.types import Labels, Predictions
from tunewright.datasets.encoded import EncodedDataset, targets_of
from tunewright.metrics._columns import load_metric
from tunewright.tasks import metrics_of
from tunewright.training.context import TrainingContext


def validation_scores(job: TrainingContext) -> dict[str, float]:
    """Loss and every metric of the head that is defined on the validation rows."""
    labels = job.network.labels
    predictions, loss = decode_all(
        job.head, labels, job.validation, job.forward.evaluated(job.validation), (job.head_settings, job.weights)
    )
    scores = {} if loss is None else {"loss": loss}
    for name in dict.fromkeys((job.monitor, *getattr(job.head, "WATCHED", metrics_of(job.head, labels)))):
        value = loss if name == "loss" else measure(name, job.wanted, predictions, labels)
        if value is not None:
            scores[name] = float(value)
    return scores


def decode_all(
    head: ModuleType,
    labels: Labels,
    examples: EncodedDataset,
    passes: Iterable[tuple[np.ndarray, Any]],
    loss: tuple[Any, Tensor | None] | None = None,
) -> tuple[Predictions, float | None]:
    """Predictions for each row, and the mean loss, weighed as in training, where its settings and class weights are given.

    ``passes`` are (numbers of examples, the network's output for them), each kept only until the next.
    """
    kept: Any = None
    sums = torch.zeros(2, dtype=torch.float64)
    for rows, output in passes:
        values = head.keep(output, examples.encoded, rows)
        if kept is None:
            kept = (
                np.empty((len(examples), *values.shape[1:]), values.dtype)
                if isinstance(values, np.ndarray)
                else [None] * len(examples)
            )
        if isinstance(values, np.ndarray):
            kept[rows] = values
        else:
            for index, value in zip(rows, values, strict=True):
                kept[index] = value
        if loss is not None:
            sums += _loss_of(head, labels, examples, rows, output, loss)
    predictions: Predictions = head.decode(np.empty((0, labels.outputs)) if kept is None else kept, labels, examples.encoded)
    return predictions, float(sums[0] / sums[1]) if loss is not None and sums[1] else None


def _loss_of(
    head: ModuleType, labels: Labels, examples: EncodedDataset, rows: np.ndarray, output: Any, loss: tuple[Any, Tensor | None]
) -> Tensor:
    """Sum of the losses and of what they weigh."""
    settings, weights = loss
    output = output.float() if hasattr(output, "float") else output
    device = next(iter(output.values())).device if isinstance(output, dict) else getattr(output, "hidden", output).device
    targets = targets_of(examples, rows, device)
    with torch.no_grad():
        losses = head.losses(output, targets, labels, settings, weights)
        return torch.stack([losses.sum().double(), head.counts(targets, weights).sum().double()]).cpu()


def measure(name: str, targets: np.ndarray, predictions: Predictions, labels: Labels) -> float | None:
    """One metric's value, None where it is undefined."""
    metric = load_metric(name)
    read = predictions.probabilities if metric.NEEDS == "probabilities" else predictions.values
    value: float | None = None if read is None else metric.value(targets, read, labels)
    return value


def higher_is_better(name: str) -> bool:
    """The direction of a metric; 'loss' is best low."""
    return name != "loss" and bool(load_metric(name).HIGHER_IS_BETTER)
