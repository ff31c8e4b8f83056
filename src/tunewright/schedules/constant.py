"""Constant: one rate all along, after an optional warm-up.

When: short runs, probes, or as the base that a plateau or a person steers. When not: the last part of a run, where a
falling rate finds better weights (any other schedule).
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from tunewright.core.types import EvaluationResult


class Settings(BaseModel):
    """Warm-up only."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    warmup: float = Field(0.0, ge=0, lt=1, description="Share of the run over which the factor rises from 0 (0 here: none).")


def factor(progress: float, settings: Settings, history: Sequence[EvaluationResult] = ()) -> float:
    """1, once warm."""
    if progress < settings.warmup:
        return progress / settings.warmup
    return 1.0
