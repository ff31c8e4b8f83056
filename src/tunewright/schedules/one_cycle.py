"""One-cycle: half a cosine up from a low rate, half a cosine down to almost nothing.

Source: Smith and Topin 2018 (super-convergence), with cosine instead of straight lines. When: high rates found by the finder.
When not: early stopping, which would cut off the low end where the result is made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from tunewright.core.types import EvaluationResult


class Settings(BaseModel):
    """The cycle's shape."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rise: float = Field(0.3, gt=0, lt=1, description="Share of the run that rises (torch's and fastai's choice, near 0.3).")
    start: float = Field(0.04, gt=0, le=1, description="Factor at the start (1/25, as torch has it).")
    end: float = Field(4e-6, gt=0, lt=1, description="Factor at the end (start / 10 000, as torch has it).")


def factor(progress: float, settings: Settings, history: Sequence[EvaluationResult] = ()) -> float:
    """From ``start`` to 1 at the end of the rise, to ``end`` at the end of the run."""
    rising = progress < settings.rise
    share = progress / settings.rise if rising else (progress - settings.rise) / (1 - settings.rise)
    low = settings.start if rising else settings.end
    wave = (1 + math.cos(math.pi * min(1.0, share))) / 2
    return low + (1 - low) * (1 - wave if rising else wave)
