"""What heads say whose classes and examples all weigh alike."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tunewright.core.types import Labels


def class_weights(targets: Any, labels: Labels, settings: Any) -> Tensor | None:
    """None: no class or token weighs more than another."""
    return None


def counts(targets: Tensor, weights: Tensor | None) -> Tensor:
    """Every example weighs one, (batch,)."""
    return torch.ones(len(targets), device=targets.device)
