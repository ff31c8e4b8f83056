"""Linear: rise to the full rate, then fall in a straight line to zero.

Source: Devlin et al. 2019, appendix A.2 (warm-up over the first tenth). When: the default for fine-tuning. When not: the length
of the run is open.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from tunewright.core.types import EvaluationResult


class Settings(BaseModel):
    """Warm-up."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    warmup: float = Field(
        0.1, ge=0, lt=1, description="Share of the run over which the factor rises from 0 (Devlin et al. 2019)."
    )


def factor(progress: float, settings: Settings, history: Sequence[EvaluationResult] = ()) -> float:
    """Rises to 1 at the end of the warm-up, falls to 0 at the end of the run."""
    if progress < settings.warmup:
        return progress / settings.warmup
    return max(0.0, (1 - progress) / (1 - settings.warmup))
