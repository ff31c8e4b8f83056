"""Losses on answers that people preferred: one file each, pure functions of the answers' log-probabilities.

Contract of a preference file:
- ``Settings``; ``NEEDS_REFERENCE``: whether the untouched network's log-probabilities are read; ``PAIRED``: whether the chosen
  and the rejected answer of one place belong to one prompt, so that there are as many of the one as of the other;
- ``losses(scored, settings) -> (rows,)``: one for each pair, or where answers are judged one by one, one for each chosen and
  then for each rejected answer;
- ``rewards(log_probabilities, reference, lengths, settings) -> (rows,)``: what the loss implies that an answer is worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Scored:
    """Log-probabilities of a batch's answers, each summed over the answer's tokens.

    ``chosen`` and ``rejected`` (rows,) by the network that trains, ``reference_…`` by the untouched one where the loss needs
    it; ``…_lengths`` (rows,) in tokens; ``divergence`` () for kto alone.
    """

    chosen: Tensor
    rejected: Tensor
    chosen_lengths: Tensor
    rejected_lengths: Tensor
    reference_chosen: Tensor | None = None
    reference_rejected: Tensor | None = None
    divergence: Tensor | None = None


def margins(part: ModuleType, scored: Scored, settings: Any) -> Tensor:
    """Implied reward of the chosen answer less that of the rejected one, (rows,); above 0 the pair is ranked rightly."""
    chosen: Tensor = part.rewards(scored.chosen, scored.reference_chosen, scored.chosen_lengths, settings)
    rejected: Tensor = part.rewards(scored.rejected, scored.reference_rejected, scored.rejected_lengths, settings)
    return chosen - rejected


def log_probabilities(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Of logits (rows, tokens, words) and labels (rows, tokens) aligned with the ids: each row's sum and count, both (rows,).

    What stands at one place predicts the label of the next; -100 is left out. Sums are in float32.
    """
    from torch.nn.functional import cross_entropy

    wanted = labels[:, 1:]
    each = -cross_entropy(logits[:, :-1].transpose(1, 2).float(), wanted, reduction="none", ignore_index=-100)
    return each.sum(1), (wanted != -100).sum(1)
