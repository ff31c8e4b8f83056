"""ORPO: fine-tuning on the chosen answer, with a penalty on the odds of the rejected one; no reference network.

Source: Hong, Lee and Thorne 2024, ORPO: Monolithic preference optimization without reference model, equations 6 and 7.
When: instruction and preference tuning in one go from a base model. When not: a network that is already tuned (dpo).
"""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn.functional import logsigmoid

from tunewright.preference_losses import Scored

NEEDS_REFERENCE = False
PAIRED = True
_CERTAIN = -1e-6  # the mean log-probability of an answer that is certain; beyond it the odds are infinite


class Settings(BaseModel):
    """How much the odds count beside the likelihood."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    odds: float = Field(0.1, ge=0, description="Weight lambda of the odds ratio (the least of those the paper compares).")


def losses(scored: Scored, settings: Settings) -> Tensor:
    chosen = scored.chosen / scored.chosen_lengths.clamp(min=1)
    rejected = scored.rejected / scored.rejected_lengths.clamp(min=1)
    return -chosen - settings.odds * logsigmoid(_log_odds(chosen) - _log_odds(rejected))


def rewards(log_probabilities: Tensor, reference: Tensor | None, lengths: Tensor, settings: Settings) -> Tensor:
    """The log-odds of the answer, of its tokens' geometric mean probability."""
    return _log_odds(log_probabilities / lengths.clamp(min=1))


def _log_odds(mean: Tensor) -> Tensor:
    """log(p / (1 - p)) of p = exp(mean)."""
    mean = mean.clamp(max=_CERTAIN)
    return mean - torch.log(-torch.expm1(mean))
