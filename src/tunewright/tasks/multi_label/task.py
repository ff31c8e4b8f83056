"""Several classes at once: one sigmoid per class, mean binary cross-entropy over the classes of a row.

Source: thresholds for the F1 score: Lipton et al. 2014, Optimal Thresholding of Classifiers to Maximize F1 Measure, section 3.
When: a row can have none, one or many labels. When not: exactly one (classification competes better).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from tunewright.core.types import Labels, Predictions
from tunewright.datasets.encoded import Encoded
from tunewright.tasks.shared import distillation
from tunewright.tasks.shared.calibration import Scaling, scaled_flags, with_flag_scaling
from tunewright.tasks.shared.rows import PIPELINE_TAGS as PIPELINE_TAGS
from tunewright.tasks.shared.rows import READS as READS
from tunewright.tasks.shared.rows import answer as answer
from tunewright.tasks.shared.rows import encode as encode
from tunewright.tasks.shared.rows import keep as keep
from tunewright.tasks.shared.rows import shown as shown
from tunewright.tasks.shared.weights import counts as counts

TARGETS = "values"
UNTARGETED = False
TEACHER_ANSWERS_ONCE = True
distillation_loss = distillation.by_row(distillation.flags)
OUTPUT = "logits"
BASELINES = ("majority", "frozen")
METRICS = ("micro_f1", "macro_f1", "subset_accuracy", "hamming_loss", "log_loss")
PRIMARY = "micro_f1"

_LEAST = 5  # validation rows of a class from which its threshold is tuned (a guess)


class Settings(BaseModel):
    """Loss settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    class_weights: Literal["none", "balanced"] = Field(
        "none",
        description="'balanced' weighs the positives of each class by negatives / positives, at most 100 (the cap is a guess).",
    )
    thresholds: Literal["half", "tuned"] = Field(
        "half",
        description="'tuned' gives a class from the probability that is best for its F1 on the validation rows, not one half.",
    )
    calibrate: Scaling = Field(
        "none",
        description="Scale the probabilities by what the validation rows tell: one 'temperature' for all classes, or an "
        "'isotonic' curve for each, which needs more rows.",
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


def decode(logits: np.ndarray, labels: Labels, encoded: Encoded | None = None) -> Predictions:
    """0/1 decisions (n, classes) at one half, or at the labels' own thresholds, and probabilities (n, classes)."""
    probabilities = scaled_flags(1 / (1 + np.exp(-logits)), labels)
    given = logits > 0
    if labels.thresholds or labels.isotonic:  # a temperature alone moves no probability over one half
        given = probabilities >= np.array(labels.thresholds or 0.5)
    return Predictions(given.astype(np.int64), probabilities)


def tunes(settings: Settings) -> bool:
    """Whether the validation rows decide anything after training."""
    return settings.thresholds == "tuned" or settings.calibrate != "none"


def tune(predictions: Predictions, targets: np.ndarray, labels: Labels, settings: Settings) -> Labels:
    """The labels with what scales the probabilities and a threshold for each class, from those of the validation rows.

    ``predictions`` have unscaled probabilities (n, classes), ``targets`` are 0/1 (n, classes).
    """
    assert predictions.probabilities is not None
    labels = with_flag_scaling(labels, predictions.probabilities, targets, settings.calibrate)
    if settings.thresholds == "half":
        return labels
    columns = zip(scaled_flags(predictions.probabilities, labels).T, targets.T, strict=True)
    return replace(labels, thresholds=tuple(_best_threshold(shares, wanted > 0) for shares, wanted in columns))


def _best_threshold(shares: np.ndarray, wanted: np.ndarray) -> float:
    """Half-way between the two probabilities where a cut gives the highest F1; one half for a class of hardly any row."""
    if wanted.sum() < _LEAST:
        return 0.5
    order = np.argsort(-shares, kind="stable")
    ordered, hits = shares[order], np.cumsum(wanted[order])
    scores = 2 * hits / (np.arange(1, len(order) + 1) + wanted.sum())
    ends = np.append(ordered[:-1] > ordered[1:], True)  # rows of one probability are cut together
    last = int(np.where(ends, scores, -1.0).argmax())
    below = ordered[last + 1] if last + 1 < len(ordered) else 0.0
    return float((ordered[last] + below) / 2)


def prior_bias(targets: np.ndarray, labels: Labels) -> Tensor:
    """Log odds of each class's share, add-one smoothed."""
    share = (targets.sum(0) + 1) / (len(targets) + 2)
    return torch.tensor(np.log(share / (1 - share)), dtype=torch.float32)


def majority(train: np.ndarray, wanted: np.ndarray, labels: Labels) -> Predictions:
    """Each label by its own majority in the training rows, for each row of ``wanted``."""
    share = train.mean(0)
    return Predictions(np.tile((share > 0.5).astype(np.int64), (len(wanted), 1)), np.tile(share, (len(wanted), 1)))
