"""A number per row: squared or Huber error, on targets brought to mean 0 and spread 1 by the training rows.

Source: Huber 1964 for the robust loss. When: the target is a quantity. When not: a handful of unordered classes.
The network's output is in these standard units; decoding brings it back: output x spread + mean.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from tunewright.core.types import Labels, Predictions
from tunewright.datasets.encoded import Encoded
from tunewright.tasks.shared import distillation, rows
from tunewright.tasks.shared.rows import READS as READS
from tunewright.tasks.shared.rows import answer as answer
from tunewright.tasks.shared.rows import encode as encode
from tunewright.tasks.shared.rows import keep as keep
from tunewright.tasks.shared.rows import shown as shown
from tunewright.tasks.shared.weights import class_weights as class_weights
from tunewright.tasks.shared.weights import counts as counts

TARGETS = "values"
UNTARGETED = False
PIPELINE_TAGS = {**rows.PIPELINE_TAGS, "table": "tabular-regression"}
TEACHER_ANSWERS_ONCE = True
distillation_loss = distillation.by_row(distillation.numbers)
OUTPUT = "logits"
BASELINES = ("majority", "frozen")
METRICS = ("root_mean_squared_error", "mean_absolute_error", "r2", "pearson", "spearman")
PRIMARY = "root_mean_squared_error"


class Settings(BaseModel):
    """Loss settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    loss: Literal["squared", "huber"] = Field("squared", description="Huber (at one spread) is less moved by outliers.")


def losses(logits: Tensor, targets: Tensor, labels: Labels, settings: Settings, weights: Tensor | None) -> Tensor:
    """Loss of each row, (batch,), of outputs (batch, 1) in standard units and targets (batch,) in their own."""
    wanted = (targets - labels.mean) / labels.spread
    loss = functional.huber_loss if settings.loss == "huber" else functional.mse_loss
    return loss(logits.squeeze(1), wanted, reduction="none")


def decode(logits: np.ndarray, labels: Labels, encoded: Encoded | None = None) -> Predictions:
    """Numbers in the target's own units, (n,)."""
    return Predictions(logits[:, 0] * labels.spread + labels.mean, None)


def prior_bias(targets: np.ndarray, labels: Labels) -> Tensor:
    """Zero: in standard units the mean already is."""
    return torch.zeros(1)


def majority(train: np.ndarray, wanted: np.ndarray, labels: Labels) -> Predictions:
    """The mean of the training rows for each row of ``wanted``."""
    return Predictions(np.full(len(wanted), train.mean()), None)
