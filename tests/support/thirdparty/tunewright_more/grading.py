"""How urgent a text is: a number for each row, learned by its absolute error."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from tunewright.core.types import Labels
from tunewright.tasks.regression import task as regression
from tunewright.tasks.regression.task import answer as answer
from tunewright.tasks.regression.task import counts as counts
from tunewright.tasks.regression.task import decode as decode
from tunewright.tasks.regression.task import distillation_loss as distillation_loss
from tunewright.tasks.regression.task import encode as encode
from tunewright.tasks.regression.task import keep as keep
from tunewright.tasks.regression.task import majority as majority
from tunewright.tasks.regression.task import prior_bias as prior_bias
from tunewright.tasks.regression.task import shown as shown

TARGETS = "values"
UNTARGETED = False
PIPELINE_TAGS = {"text": "text-classification"}
TEACHER_ANSWERS_ONCE = True
READS = {"text": "AutoModelForSequenceClassification"}
OUTPUT = regression.OUTPUT
BASELINES = ("majority",)
METRICS = ("share_within_one", "mean_absolute_error")
PRIMARY = "mean_absolute_error"


class Settings(BaseModel):
    """Nothing to set."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def losses(logits: Tensor, targets: Tensor, labels: Labels, settings: Settings, weights: Tensor | None) -> Tensor:
    """Absolute error of each row in standard units, (batch,)."""
    return (logits[:, 0] - (targets - labels.mean) / labels.spread).abs()


def class_weights(targets: np.ndarray, labels: Labels, settings: Settings) -> None:
    """All rows weigh alike."""
