"""Plateau: the rate is cut each time validation has stopped improving.

Source: the rule of He et al. 2016, section 3.4, made automatic as in torch's ReduceLROnPlateau. When: the length of the run
is open. When not: fewer evaluations than the patience can count.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from tunewright.core.types import EvaluationResult


class Settings(BaseModel):
    """Patience and cut."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    warmup: float = Field(0.0, ge=0, lt=1, description="Share of the run over which the factor rises from 0 (0 here: none).")
    patience: int = Field(2, ge=1, le=1000, description="Evaluations in a row without a better one before a cut (a guess).")
    cut: float = Field(0.3, gt=0, lt=1, description="Factor of each cut (He et al.: 0.1; a gentler guess for short runs).")


def factor(progress: float, settings: Settings, history: Sequence[EvaluationResult] = ()) -> float:
    """``cut`` to the power of how often the patience ran out; depends on nothing but progress and past evaluations."""
    if progress < settings.warmup:
        return progress / settings.warmup
    waited = cuts = 0
    for evaluated in history:
        waited = 0 if evaluated.better else waited + 1
        if waited == settings.patience:
            waited, cuts = 0, cuts + 1
    return settings.cut**cuts
