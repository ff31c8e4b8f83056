"""IPO: the chosen answer is to gain a fixed amount more than the rejected one, and not without end.

Source: Azar et al. 2023, A general theoretical paradigm to understand learning from human preferences, equation 17.
When: pairs that are nearly certain, on which DPO would push for ever. When not: pairs of very unequal length, unless per token.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from tunewright.preference_losses import Scored

NEEDS_REFERENCE = True
PAIRED = True


class Settings(BaseModel):
    """How far the network may move."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tau: float = Field(
        0.1,
        gt=0,
        description="Strength of the pull to the untouched network; the gain aimed at is 1 / (2 tau) (the paper tries 0.1 to 1).",
    )
    per_token: bool = Field(False, description="Average over an answer's tokens instead of the sum (the equation has the sum).")


def losses(scored: Scored, settings: Settings) -> Tensor:
    assert scored.reference_chosen is not None and scored.reference_rejected is not None
    chosen = _gain(scored.chosen, scored.reference_chosen, scored.chosen_lengths, settings)
    rejected = _gain(scored.rejected, scored.reference_rejected, scored.rejected_lengths, settings)
    return (chosen - rejected - 1 / (2 * settings.tau)).square()


def rewards(log_probabilities: Tensor, reference: Tensor | None, lengths: Tensor, settings: Settings) -> Tensor:
    """Tau times the gain on the untouched network."""
    assert reference is not None
    return settings.tau * _gain(log_probabilities, reference, lengths, settings)


def _gain(now: Tensor, reference: Tensor, lengths: Tensor, settings: Settings) -> Tensor:
    gain = now - reference
    return gain / lengths.clamp(min=1) if settings.per_token else gain
