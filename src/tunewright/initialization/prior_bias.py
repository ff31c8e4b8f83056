"""The head's bias at the base rates, so that training does not begin by unlearning a uniform guess.

Source: Lin et al. 2017 (focal loss), section 3.3. When: rare classes. When not: heads without a bias (decoders).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from tunewright.core.registry import load_part
from tunewright.core.types import Labels
from tunewright.models.network import Network


class Settings(BaseModel):
    """Nothing to set."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def initialize(
    network: Network,
    features: Callable[[], np.ndarray],
    targets: np.ndarray,
    labels: Labels,
    settings: Settings,
    seed: int,
) -> str:
    """Set the last linear layer's bias to what the task's head computes from the training targets."""
    bias = network.last_linear.bias
    if bias is None:
        return "the head has no bias to start at the base rates"
    with torch.no_grad():
        bias.copy_(load_part("tasks", labels.task).prior_bias(targets, labels))
    return "the head's bias starts at the training rows' base rates"
