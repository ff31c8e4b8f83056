"""Unfreezing by plateau: the next layer opens when validation has stopped improving.

Source: a score-driven form of ULMFiT's gradual unfreezing (Howard and Ruder 2018, section 3.3); the rule is ours. When: how
much must be open is not known. When not: a fixed budget, where top_down is sure to open everything.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from tunewright.core.types import EvaluationResult, Stage

NEVER = 2.0  # a start beyond the end of the run: only ``advance`` opens the stage


class Settings(BaseModel):
    """Patience."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    patience: int = Field(
        1, ge=1, le=1000, description="Evaluations in a row without a better one before the next layer opens (a guess)."
    )


def stages(depths: int, lowest: int, epochs: int, settings: Settings) -> tuple[Stage, ...]:
    """The head alone, then each depth down to ``lowest``, none of them by time."""
    head = depths - 1
    below = (Stage(NEVER, depth, f"open from depth {depth}") for depth in range(head - 1, lowest - 1, -1))
    return (Stage(0.0, head, "head only"), *below)


def advance(history: Sequence[EvaluationResult], settings: Settings) -> bool:
    """Whether the last evaluation completes a plateau; each opening starts the count anew."""
    waited = 0
    for evaluated in history:
        waited = 0 if evaluated.better else waited % settings.patience + 1
    return waited == settings.patience
