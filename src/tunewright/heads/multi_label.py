"""Several classes at once: one sigmoid per class, mean binary cross-entropy over the classes of a row.

When: a row can have none, one or many labels. When not: exactly one (classification competes better).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from tunewright.core.types import Labels, Predictions
from tunewright.data.examples import Encoded
from tunewright.heads._rows import answer, encode, keep, shown

__all__ = [
    "BASELINES",
    "METRICS",
    "OUTPUT",
    "PRIMARY",
    "READS",
    "Settings",
    "answer",
    "class_weights",
    "counts",
    "decode",
    "encode",
    "keep",
    "losses",
    "majority",
    "prior_bias",
    "shown",
]

READS = {
    "text": "AutoModelForSequenceClassification",
    "image": "AutoModelForImageClassification",
    "audio": "AutoModelForAudioClassification",
    "table": "TableTransformer",
}
OUTPUT = "logits"
BASELINES = ("majority", "frozen")
METRICS = ("micro_f1", "macro_f1", "subset_accuracy", "hamming_loss", "log_loss")
PRIMARY = "micro_f1"


class Settings(BaseModel):
    """Loss settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    class_weights: Literal["none", "balanced"] = Field(
        "none",
        description="'balanced' weighs the positives of each class by negatives / positives, at most 100 (the cap is a guess).",
    )


def class_weights(targets: np.ndarray, labels: Labels, settings: Settings) -> Tensor | None:
    """Weight of each class's positives, (classes,), from 0/1 targets (n, classes)."""
    if settings.class_weights == "none":
        return None
    positive = targets.sum(0)
    return torch.tensor(np.clip((len(targets) - positive) / np.maximum(positive, 1), 0.01, 100), dtype=torch.float32)


def losses(logits: Tensor, targets: Tensor, labels: Labels, settings: Settings, weights: Tensor | None) -> Tensor:
    """Loss of each row, (batch,), of logits and 0/1 targets (batch, classes)."""
    return functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights, reduction="none").mean(1)


def counts(targets: Tensor, weights: Tensor | None) -> Tensor:
    """Every row weighs one, (batch,)."""
    return torch.ones(len(targets), device=targets.device)


def decode(logits: np.ndarray, labels: Labels, encoded: Encoded | None = None) -> Predictions:
    """0/1 decisions at one half (n, classes), and probabilities (n, classes)."""
    return Predictions((logits > 0).astype(np.int64), 1 / (1 + np.exp(-logits)))


def prior_bias(targets: np.ndarray, labels: Labels) -> Tensor:
    """Log odds of each class's share, add-one smoothed."""
    share = (targets.sum(0) + 1) / (len(targets) + 2)
    return torch.tensor(np.log(share / (1 - share)), dtype=torch.float32)


def majority(train: np.ndarray, wanted: np.ndarray, labels: Labels) -> Predictions:
    """Each label by its own majority in the training rows, for each row of ``wanted``."""
    share = train.mean(0)
    return Predictions(np.tile((share > 0.5).astype(np.int64), (len(wanted), 1)), np.tile(share, (len(wanted), 1)))
