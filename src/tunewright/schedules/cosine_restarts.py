"""Cosine with restarts: several half cosines, each starting from the full rate again.

Source: Loshchilov and Hutter 2017 (SGDR), section 3; the weights at the end of each cycle make a soup or an ensemble.
When: several good solutions are wanted from one run. When not: a single short run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from tunewright.core.types import EvaluationResult


class Settings(BaseModel):
    """Warm-up and cycles."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    warmup: float = Field(0.0, ge=0, lt=1, description="Share of the run over which the factor rises from 0 (as linear).")
    cycles: int = Field(3, ge=1, le=100, description="Number of half cosines of equal length (a guess).")


def factor(progress: float, settings: Settings, history: Sequence[EvaluationResult] = ()) -> float:
    """Falls from 1 to 0 in each cycle; the run ends at 0."""
    if progress < settings.warmup:
        return progress / settings.warmup
    share = (progress - settings.warmup) / (1 - settings.warmup)
    if share >= 1:
        return 0.0
    return (1 + math.cos(math.pi * (share * settings.cycles % 1))) / 2
