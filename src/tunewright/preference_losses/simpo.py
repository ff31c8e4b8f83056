"""SimPO: the chosen answer is to be likelier per token than the rejected one by a margin; no reference network.

Source: Meng, Xia and Chen 2024, SimPO: Simple preference optimization with a reference-free reward, equation 6.
When: pairs whose lengths differ, and no memory for a reference. When not: few pairs or a high rate, which nothing holds back.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn.functional import logsigmoid

from tunewright.preference_losses import Scored

NEEDS_REFERENCE = False
PAIRED = True


class Settings(BaseModel):
    """How sharply answers are told apart, and by how much."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    beta: float = Field(2.0, gt=0, description="Scale of the mean log-probability (the paper: 2.0 to 2.5).")
    gamma: float = Field(1.0, ge=0, description="Margin of the rewards that is aimed at (the paper: 0.3 to 1.6).")


def losses(scored: Scored, settings: Settings) -> Tensor:
    chosen = rewards(scored.chosen, None, scored.chosen_lengths, settings)
    rejected = rewards(scored.rejected, None, scored.rejected_lengths, settings)
    return -logsigmoid(chosen - rejected - settings.gamma)


def rewards(log_probabilities: Tensor, reference: Tensor | None, lengths: Tensor, settings: Settings) -> Tensor:
    """Equation 4: beta times the mean log-probability of the answer's tokens."""
    return settings.beta * log_probabilities / lengths.clamp(min=1)
