"""Cosine: rise to the full rate, then fall along half a cosine.

Source: Loshchilov and Hutter 2017 (SGDR), equation 5, without restarts. When: longer runs, where a slow start of the decay helps.
When not: very short runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from tunewright.core.types import EvaluationResult


class Settings(BaseModel):
    """Warm-up and floor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    warmup: float = Field(0.1, ge=0, lt=1, description="Share of the run over which the factor rises from 0 (as linear).")
    floor: float = Field(0.0, ge=0, lt=1, description="Factor at the end (0 in the paper).")


def factor(progress: float, settings: Settings, history: Sequence[EvaluationResult] = ()) -> float:
    """From 1 after the warm-up to ``floor`` at the end."""
    if progress < settings.warmup:
        return progress / settings.warmup
    share = (progress - settings.warmup) / (1 - settings.warmup)
    return settings.floor + (1 - settings.floor) * (1 + math.cos(math.pi * min(1.0, share))) / 2
