"""DPO: a chosen answer is to gain more on the untouched network than the rejected one.

Source: Rafailov et al. 2023, Direct Preference Optimization, equation 7; with label smoothing cDPO (Mitchell
2023, A note on DPO with noisy preferences). When: pairs of answers and a network that already follows instructions. When
not: answers judged one by one (kto), or no memory for the reference (orpo, simpo).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn.functional import logsigmoid

from tunewright.preference_losses import Scored

NEEDS_REFERENCE = True
PAIRED = True


class Settings(BaseModel):
    """How far the network may move, and how many labels are doubted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    beta: float = Field(0.1, gt=0, description="Strength of the pull to the untouched network (appendix B: 0.1).")
    label_smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="Share of pairs that are thought to be the wrong way round (0 is DPO itself)."
    )


def losses(scored: Scored, settings: Settings) -> Tensor:
    assert scored.reference_chosen is not None and scored.reference_rejected is not None
    gained = (scored.chosen - scored.reference_chosen) - (scored.rejected - scored.reference_rejected)
    doubt = settings.label_smoothing
    right = -logsigmoid(settings.beta * gained)
    return right if doubt == 0 else (1 - doubt) * right - doubt * logsigmoid(-settings.beta * gained)


def rewards(log_probabilities: Tensor, reference: Tensor | None, lengths: Tensor, settings: Settings) -> Tensor:
    """Section 4: beta times the gain on the untouched network."""
    assert reference is not None
    return settings.beta * (log_probabilities - reference)
