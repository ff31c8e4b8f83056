"""KTO: answers judged one by one, wanted or not, weighed as people weigh gains and losses.

Source: Ethayarajh et al. 2024, KTO: Model alignment as prospect theoretic optimization, equation 8.
When: each answer has a thumb up or down and no partner. When not: clean pairs, which dpo uses better.
"""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from tunewright.preference_losses import Scored

NEEDS_REFERENCE = True
PAIRED = False


class Settings(BaseModel):
    """How far the network may move, and what the two kinds of answer weigh."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    beta: float = Field(0.1, gt=0, description="Strength of the pull to the untouched network (the paper: 0.1).")
    desirable: float = Field(
        1.0,
        gt=0,
        description="Weight of a wanted answer; n desirable / (m undesirable) from 1 to 4/3 for n and m of them (the paper).",
    )
    undesirable: float = Field(1.0, gt=0, description="Weight of an unwanted answer (the paper: 1).")


def losses(scored: Scored, settings: Settings) -> Tensor:
    """(chosen + rejected,): the wanted answers first, then the unwanted ones; how many there are of each is free."""
    assert scored.reference_chosen is not None and scored.reference_rejected is not None and scored.divergence is not None
    centre = scored.divergence.detach()
    wanted = settings.beta * (scored.chosen - scored.reference_chosen - centre)
    unwanted = settings.beta * (centre - (scored.rejected - scored.reference_rejected))
    # lambda - lambda sigmoid(x) is lambda sigmoid(-x), without cancelling
    return torch.cat([settings.desirable * torch.sigmoid(-wanted), settings.undesirable * torch.sigmoid(-unwanted)])


def rewards(log_probabilities: Tensor, reference: Tensor | None, lengths: Tensor, settings: Settings) -> Tensor:
    """Beta times the gain on the untouched network."""
    assert reference is not None
    return settings.beta * (log_probabilities - reference)


def divergence(mismatched: Tensor, reference: Tensor) -> Tensor:
    """How far the network is from the untouched one, (): the mean gain of answers put to other prompts, at least 0.

    The answers of a batch are shifted by one place; the estimate is a constant without gradient.
    """
    return (mismatched - reference).mean().clamp(min=0).detach()
