"""Slanted triangular: a short steep rise and a long fall, neither from nor to zero.

Source: Howard and Ruder 2018 (ULMFiT), equation 3. When: gradual unfreezing, as in the paper. When not: the end of the run
must reach a rate near zero (linear).
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from tunewright.core.types import EvaluationResult


class Settings(BaseModel):
    """The triangle's shape."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cut: float = Field(0.1, gt=0, lt=1, description="Share of the run that rises (ULMFiT section 3.2: 0.1).")
    ratio: float = Field(32.0, gt=1, description="Full rate over the lowest rate (ULMFiT section 3.2: 32).")


def factor(progress: float, settings: Settings, history: Sequence[EvaluationResult] = ()) -> float:
    """(1 + p (ratio - 1)) / ratio, with p rising to 1 at the cut and falling to 0 at the end."""
    rising = progress < settings.cut
    share = progress / settings.cut if rising else 1 - (progress - settings.cut) / (1 - settings.cut)
    return (1 + max(0.0, share) * (settings.ratio - 1)) / settings.ratio
