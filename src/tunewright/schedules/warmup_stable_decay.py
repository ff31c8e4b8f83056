"""Warm-up, stable, decay: a long flat part, and a fall only at the very end.

Source: Hu et al. 2024 (MiniCPM), section 4.2: a decay of a tenth of the run suffices. When: the length may be extended later by
continuing from the flat part. When not: short runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from tunewright.core.types import EvaluationResult


class Settings(BaseModel):
    """The three shares."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    warmup: float = Field(0.05, ge=0, lt=1, description="Share of the run over which the factor rises from 0 (a guess).")
    decay: float = Field(0.1, gt=0, le=1, description="Share of the run that falls, at its end (MiniCPM: 0.1).")


def factor(progress: float, settings: Settings, history: Sequence[EvaluationResult] = ()) -> float:
    """Rises, stays at 1, and falls to 0 over the last share."""
    if progress < settings.warmup:
        return progress / settings.warmup
    return min(1.0, max(0.0, (1 - progress) / settings.decay))
