"""Several target columns on one backbone: a class or a number each, read from the same features and learned together.

Source: Caruana 1997, Multitask Learning (hard sharing: one network below, a head for each task). The loss of a row is the
weighted sum of its columns' own. When: several things are to be told of the same rows. When not: targets that pull the
backbone apart, where a run for each does better; rows of different sets.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from tunewright.core.errors import UserError
from tunewright.core.registry import load_part
from tunewright.core.types import Labels, Predictions
from tunewright.datasets.encoded import Encoded
from tunewright.tasks.shared.rows import PIPELINE_TAGS as PIPELINE_TAGS
from tunewright.tasks.shared.rows import READS as READS
from tunewright.tasks.shared.rows import encode as encode
from tunewright.tasks.shared.rows import keep as keep
from tunewright.tasks.shared.weights import counts as counts

TARGETS = "multi_task"
UNTARGETED = False
TEACHER_ANSWERS_ONCE = True
OUTPUT = "logits"
BASELINES = ("majority", "frozen")
METRICS = ("mean_column_score",)
PRIMARY = "mean_column_score"


class Settings(BaseModel):
    """What each column weighs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: dict[str, float] = Field({}, description="Weight of a column's loss by its name; 1 where none is named.")


def metrics(labels: Labels) -> tuple[str, ...]:
    """The mean over the columns, and each column's own metric as ``column:metric``."""
    return (PRIMARY, *(f"{name}:{_head(part).PRIMARY}" for name, part in labels.parts))


def class_weights(targets: np.ndarray, labels: Labels, settings: Settings) -> Tensor | None:
    """Weight of each column, (columns,)."""
    columns = [name for name, _ in labels.parts]
    unknown = sorted(set(settings.weights) - set(columns))
    if unknown:
        raise UserError(f"head.weights names '{unknown[0]}'", expected=f"target columns: {', '.join(columns)}")
    return torch.tensor([settings.weights.get(name, 1.0) for name in columns])


def losses(logits: Tensor, targets: Tensor, labels: Labels, settings: Settings, weights: Tensor | None) -> Tensor:
    """Weighted sum of the columns' losses, (batch,), of logits (batch, all outputs) and targets (batch, columns)."""
    each = []
    for column, (part, outputs) in enumerate(_slices(labels)):
        wanted = targets[:, column].long() if part.names else targets[:, column].float()
        each.append(_head(part).losses(logits[:, outputs], wanted, part, _head(part).Settings(), None))
    stacked = torch.stack(each, 1)
    return (stacked if weights is None else stacked * weights).sum(1)


def decode(logits: np.ndarray, labels: Labels, encoded: Encoded | None = None) -> Predictions:
    """Each column's class number or number, (n, columns) float64."""
    values = [_head(part).decode(logits[:, outputs], part).values for part, outputs in _slices(labels)]
    return Predictions(np.stack(values, 1).astype(np.float64), None)


def shown(value: np.ndarray, labels: Labels) -> str:
    """All columns by name."""
    return ", ".join(f"{name}: {_head(part).shown(at, part)}" for (name, part), at in zip(labels.parts, value, strict=True))


def answer(predictions: Predictions, index: int, labels: Labels) -> dict[str, Any]:
    """Each column's class or number by the column's name."""
    row = zip(labels.parts, predictions.values[index], strict=True)
    found = {name: part.names[int(value)] if part.names else float(value) for (name, part), value in row}
    return {"predicted": found, "probability": None}


def badness(targets: np.ndarray, predictions: Predictions) -> np.ndarray:
    """Columns that are wrong, distances of numbers in spreads of the targets, (n,)."""
    spread = np.maximum(targets.std(0), 1e-12)
    distance: np.ndarray = (np.abs(targets - predictions.values) / spread).sum(1)
    return distance


def majority(train: np.ndarray, wanted: np.ndarray, labels: Labels) -> Predictions:
    """The most frequent class, or the mean, of each column."""
    found = [
        _head(part).majority(_typed(train[:, column], part), wanted, part).values for column, (_, part) in enumerate(labels.parts)
    ]
    return Predictions(np.stack(found, 1).astype(np.float64), None)


def prior_bias(targets: np.ndarray, labels: Labels) -> Tensor:
    """Each column's own, one after the other."""
    each = [_head(part).prior_bias(_typed(targets[:, column], part), part) for column, (_, part) in enumerate(labels.parts)]
    return torch.cat(each)


def _typed(column: np.ndarray, part: Labels) -> np.ndarray:
    return column.astype(np.int64) if part.names else column


def _head(part: Labels) -> ModuleType:
    return load_part("tasks", part.task)


def _slices(labels: Labels) -> Iterator[tuple[Labels, slice]]:
    """Each column's labels, and where its outputs are."""
    start = 0
    for _, part in labels.parts:
        yield part, slice(start, start + part.outputs)
        start += part.outputs


def distillation_loss(
    output: Tensor, said: Tensor, targets: Tensor, labels: Labels, temperature: float, settings: Any, weights: Tensor | None
) -> Tensor:
    """(batch,) weighted sum of each column's own, of outputs side by side."""
    each, start = [], 0
    for place, (_, part) in enumerate(labels.parts):
        own = slice(start, start + part.outputs)
        loss = load_part("tasks", part.task).distillation_loss
        each.append(loss(output[:, own], said[:, own], targets[:, place], part, temperature, None, None))
        start = own.stop
    stacked = torch.stack(each, 1)
    return (stacked if weights is None else stacked * weights).sum(1)
