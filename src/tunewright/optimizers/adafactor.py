"""Adafactor: adaptive rates whose second moments are kept as row and column means only.

Source: Shazeer and Stern 2018, algorithm 4. When: memory is short. When not: small models, where AdamW's moments cost little.
torch's own implementation; a group's rate is the upper bound of the relative step.
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Decay of the second moment and the clipping of updates."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    beta2_decay: float = Field(-0.8, lt=0, description="Exponent of the second moment's memory over steps (section 7.2).")
    clip: float = Field(1.0, gt=0, description="Largest root mean square of an update (section 6).")


def build(groups: list[dict[str, Any]], settings: Settings) -> torch.optim.Optimizer:
    """Adafactor over the groups."""
    return torch.optim.Adafactor(groups, beta2_decay=settings.beta2_decay, d=settings.clip)
