"""One of several classes that have an order: for each step between two of them, is the row above it?

Source: Frank and Hall 2001 (one binary question for each step); trained together as in Niu et al. 2016, section 3, and read as in
Cao et al. 2020, CORAL, section 3.3: the class is the number of steps that are more likely passed than not.
When: grades, stars, severities. When not: classes without an order (classification); amounts (regression).
"""

from __future__ import annotations

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from tunewright.core.types import Labels, Predictions
from tunewright.datasets.encoded import Encoded
from tunewright.tasks.classification.task import majority as majority
from tunewright.tasks.shared import distillation
from tunewright.tasks.shared.rows import PIPELINE_TAGS as PIPELINE_TAGS
from tunewright.tasks.shared.rows import READS as READS
from tunewright.tasks.shared.rows import answer as answer
from tunewright.tasks.shared.rows import encode as encode
from tunewright.tasks.shared.rows import keep as keep
from tunewright.tasks.shared.rows import shown as shown
from tunewright.tasks.shared.weights import counts as counts

TARGETS = "ordinal"
UNTARGETED = False
TEACHER_ANSWERS_ONCE = True
distillation_loss = distillation.by_row(distillation.flags)
OUTPUT = "logits"
BASELINES = ("majority", "frozen")
METRICS = ("quadratic_weighted_kappa", "accuracy", "mean_absolute_error", "macro_f1")
PRIMARY = "quadratic_weighted_kappa"


class Settings(BaseModel):
    """Loss settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    balanced_steps: bool = Field(
        False, description="Weigh each step by the square root of the rows on its smaller side (Cao et al. 2020, section 3.4)."
    )


def class_weights(targets: np.ndarray, labels: Labels, settings: Settings) -> Tensor | None:
    """Weight of each step, (classes - 1,), from class numbers (n,); the largest is 1. None when all weigh the same."""
    if not settings.balanced_steps:
        return None
    above = (targets[:, None] > np.arange(labels.outputs)).sum(0)
    rooted = np.sqrt(np.maximum(np.minimum(above, len(targets) - above), 1))
    return torch.tensor(rooted / rooted.max(), dtype=torch.float32)


def losses(logits: Tensor, targets: Tensor, labels: Labels, settings: Settings, weights: Tensor | None) -> Tensor:
    """Mean binary cross-entropy over the steps, (batch,), of logits (batch, classes - 1) and class numbers (batch,)."""
    above = (targets[:, None] > torch.arange(logits.shape[1], device=logits.device)).float()
    return functional.binary_cross_entropy_with_logits(logits, above, weight=weights, reduction="none").mean(1)


def decode(logits: np.ndarray, labels: Labels, encoded: Encoded | None = None) -> Predictions:
    """Class numbers (n,), and probabilities (n, classes); a step is never likelier than the one below it."""
    above = np.minimum.accumulate(1 / (1 + np.exp(-logits.astype(np.float64))), axis=1)
    edges = np.pad(above, ((0, 0), (1, 1)), constant_values=((0, 0), (1, 0)))
    return Predictions((above > 0.5).sum(1), edges[:, :-1] - edges[:, 1:])


def prior_bias(targets: np.ndarray, labels: Labels) -> Tensor:
    """Log odds of the rows above each step, add-one smoothed, (classes - 1,)."""
    share = ((targets[:, None] > np.arange(labels.outputs)).sum(0) + 1) / (len(targets) + 2)
    return torch.tensor(np.log(share / (1 - share)), dtype=torch.float32)
