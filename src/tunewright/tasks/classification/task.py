"""One class out of several: softmax cross-entropy, with class weights, label smoothing and focal loss.

Source: label smoothing: Szegedy et al. 2016, section 7; focal loss: Lin et al. 2017, equation 4.
When: each row has exactly one label. When not: several labels at once (multi_label), ordered scores (regression).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from tunewright.core.errors import UserError, unknown
from tunewright.core.types import Labels, Predictions
from tunewright.datasets.encoded import Encoded
from tunewright.datasets.groups import Groups
from tunewright.tasks.shared import distillation
from tunewright.tasks.shared.calibration import Scaling, scaled, with_scaling
from tunewright.tasks.shared.group_thresholds import Parity, fitted, kept
from tunewright.tasks.shared.rows import PIPELINE_TAGS as PIPELINE_TAGS
from tunewright.tasks.shared.rows import READS as READS
from tunewright.tasks.shared.rows import answer as answer
from tunewright.tasks.shared.rows import encode as encode
from tunewright.tasks.shared.rows import keep as keep
from tunewright.tasks.shared.rows import shown as shown

TARGETS = "values"
UNTARGETED = False
TEACHER_ANSWERS_ONCE = True
distillation_loss = distillation.by_row(distillation.classes)
OUTPUT = "logits"
BASELINES = ("majority", "frozen")
METRICS = ("accuracy", "macro_f1", "log_loss", "expected_calibration_error")
PRIMARY = "accuracy"


class Settings(BaseModel):
    """Loss settings; the defaults are plain cross-entropy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    class_weights: Literal["none", "balanced"] | tuple[float, ...] = Field(
        "none",
        description="'balanced' weighs each class by n / (classes x its count), as scikit-learn does; or one weight per class.",
    )
    costs: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (),
        description="What it costs to miss a row of each class, in the labels' order: the decision with the least expected cost.",
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of the target spread over all classes.")
    calibrate: Scaling = Field(
        "none",
        description="Scale the probabilities by what the validation rows tell: one 'temperature' (Guo et al. 2017: enough for "
        "networks), or 'isotonic' curves, which need more rows.",
    )
    thresholds_by: str | None = Field(
        None,
        description="Of two classes, a column of groups: the validation rows tell a threshold for each group, which is saved "
        "with the model; predict then asks for the column. The law may forbid it.",
    )
    parity: Parity = Field(
        "demographic_parity",
        description="What these thresholds make alike: how often groups are given the class, or 'equal_opportunity', how often "
        "rows that have it are.",
    )
    positive: str | None = Field(
        None, description="For these thresholds, the class that it means something to be given; None takes the last."
    )
    focal_gamma: float = Field(0.0, ge=0, le=10, description="Focus on hard rows; 0 is off, 2 is Lin et al.'s choice.")


def class_weights(targets: np.ndarray, labels: Labels, settings: Settings) -> Tensor | None:
    """One weight per class, (classes,), from the training targets; None when all weigh the same."""
    if settings.class_weights == "none":
        return None
    if settings.class_weights == "balanced":
        counts = np.bincount(targets, minlength=labels.outputs)
        return torch.tensor(len(targets) / (labels.outputs * np.maximum(counts, 1)), dtype=torch.float32)
    return torch.tensor(_one_each("class_weights", settings.class_weights, labels), dtype=torch.float32)


def decided(labels: Labels, settings: Settings) -> Labels:
    """The labels with what it costs to miss each class; settings that do not go with them are refused."""
    if settings.thresholds_by is not None:
        _refuse_groups(labels, settings)
    return replace(labels, costs=_one_each("costs", settings.costs, labels)) if settings.costs else labels


def _refuse_groups(labels: Labels, settings: Settings) -> None:
    if len(labels.names) != 2:
        raise UserError(
            f"head.thresholds_by is for two classes, and there are {len(labels.names)}", expected="a target with two classes"
        )
    if settings.positive is not None and settings.positive not in labels.names:
        raise unknown("class", settings.positive, labels.names)
    if settings.costs:
        raise UserError(
            "head.costs and head.thresholds_by both say from which probability a class is given", expected="one of them"
        )


def _one_each(name: str, values: tuple[float, ...], labels: Labels) -> tuple[float, ...]:
    if len(values) != labels.outputs:
        raise UserError(
            f"head.{name} has {len(values)} values for {labels.outputs} classes",
            expected=f"one for each class, in this order: {', '.join(labels.names)}",
        )
    return values


def metrics(labels: Labels) -> tuple[str, ...]:
    """The task's own, and what wrong answers cost where that is known."""
    return (*METRICS, "mean_cost") if labels.costs else METRICS


def losses(logits: Tensor, targets: Tensor, labels: Labels, settings: Settings, weights: Tensor | None) -> Tensor:
    """Weighted loss of each row, (batch,), of logits (batch, classes) and class numbers (batch,), or shares (batch, classes)."""
    plain = functional.cross_entropy(logits, targets, reduction="none", label_smoothing=settings.label_smoothing)
    if targets.ndim == 2:
        return plain
    if settings.focal_gamma:
        right = logits.softmax(-1).gather(1, targets[:, None]).squeeze(1)
        plain = (1 - right) ** settings.focal_gamma * plain
    return plain if weights is None else plain * weights[targets]


def counts(targets: Tensor, weights: Tensor | None) -> Tensor:
    """What each row weighs in the mean, (batch,): its class weight, as torch's weighted mean has it."""
    return torch.ones(len(targets), device=targets.device) if weights is None else weights[targets]


def decode(logits: np.ndarray, labels: Labels, encoded: Encoded | None = None) -> Predictions:
    """Class numbers (n,) and probabilities (n, classes).

    Where costs differ, the class whose probability times cost is largest (Elkan 2001, The Foundations of Cost-Sensitive Learning,
    equation 1), which is right as far as the probabilities are.
    """
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    probabilities = scaled(shifted / shifted.sum(1, keepdims=True), labels)
    if labels.isotonic:
        logits = probabilities  # the curves of several classes may change which is the largest
    return Predictions((probabilities * labels.costs if labels.costs else logits).argmax(1), probabilities)


def tunes(settings: Settings) -> bool:
    """Whether the validation rows decide anything after training."""
    return settings.calibrate != "none" or settings.thresholds_by is not None


def tune(predictions: Predictions, targets: np.ndarray, labels: Labels, settings: Settings) -> Labels:
    """The labels with what scales the probabilities, from those of the validation rows."""
    assert predictions.probabilities is not None
    return with_scaling(labels, predictions.probabilities, targets, settings.calibrate)


def tune_groups(predictions: Predictions, targets: np.ndarray, labels: Labels, settings: Settings, groups: Groups) -> Labels:
    """The labels with a threshold for each group, from unscaled probabilities of the validation rows and their groups."""
    assert predictions.probabilities is not None
    given = labels.outputs - 1 if settings.positive is None else labels.names.index(settings.positive)
    shares, places = scaled(predictions.probabilities, labels)[:, given], groups.places["validation"]
    return replace(
        labels, groups=kept(groups, given, fitted(shares, targets == given, places, len(groups.names), settings.parity))
    )


def prior_bias(targets: np.ndarray, labels: Labels) -> Tensor:
    """Log share of each class, add-one smoothed: the bias at which a zero head predicts the base rates."""
    counted = np.bincount(targets, minlength=labels.outputs) + 1
    return torch.tensor(np.log(counted / counted.sum()), dtype=torch.float32)


def majority(train: np.ndarray, wanted: np.ndarray, labels: Labels) -> Predictions:
    """The most frequent class of the training rows for each row of ``wanted``, their shares as probabilities."""
    share = np.bincount(train, minlength=labels.outputs) / len(train)
    most = (share * labels.costs if labels.costs else share).argmax()
    return Predictions(np.full(len(wanted), most), np.tile(share, (len(wanted), 1)))
