"""How far a student's answer lies from its teacher's, task by task: each a pure function, summed as the task's own loss is.

Source: Hinton, Vinyals and Dean 2015, section 2 (softened classes, times the temperature's square), token by token as in Sanh
et al. 2019, DistilBERT; numbers: Ba and Caruana 2014; vectors: Reimers and Gurevych 2020, section 2, and of other widths Tung and
Mori 2019, section 3 (the batch's similarities).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tunewright.core.types import Labels
from tunewright.datasets.ragged import IGNORED
from tunewright.datasets.targets.masks import NO_CLASS
from tunewright.models.vocabulary import Vocabulary, divergences

_NEVER = -1e9  # logit of a place that no answer may have; finite, so that nothing times it is nothing


def divergence(output: Tensor, said: Tensor, temperature: float) -> Tensor:
    """Of the student's classes from the teacher's along the last axis, both softened, times the temperature's square."""
    ours, theirs = ((logits.float() / temperature).log_softmax(-1) for logits in (output, said))
    return temperature**2 * functional.kl_div(ours, theirs, reduction="none", log_target=True).sum(-1)


def classes(output: Tensor, said: Tensor, targets: Tensor, labels: Labels, temperature: float) -> Tensor:
    """(batch,) of one class for each row, or the sum over the words that have a tag."""
    soft = divergence(output, said, temperature)
    return soft if soft.ndim == 1 else torch.where(targets == IGNORED, 0.0, soft).sum(1)


def flags(output: Tensor, said: Tensor, targets: Tensor, labels: Labels, temperature: float) -> Tensor:
    """(batch,) of a yes or no for each class or step, the mean over them."""
    return functional.binary_cross_entropy_with_logits(output, said.sigmoid(), reduction="none").mean(1)


def numbers(output: Tensor, said: Tensor, targets: Tensor, labels: Labels, temperature: float) -> Tensor:
    """(batch,) squared distance, in spreads of the student's targets."""
    return (output - said).square().sum(-1)


def spans(output: Tensor, said: Tensor, targets: Tensor, labels: Labels, temperature: float) -> Tensor:
    """(batch,) mean over an answer's two ends, each a softmax over the places (batch, tokens, 2) that may hold one."""
    wrong = (targets == IGNORED)[..., None]
    ours, theirs = (logits.masked_fill(wrong, _NEVER).transpose(1, 2) for logits in (output, said))
    return divergence(ours, theirs, temperature).mean(1)


def pixels(output: Tensor, said: Tensor, targets: Tensor, labels: Labels, temperature: float) -> Tensor:
    """(batch,) sum over the pixels that have a class, of logits (batch, classes, h, w) at the mask's size."""
    ours, theirs = (
        functional.interpolate(one, size=targets.shape[-2:], mode="bilinear", align_corners=False) for one in (output, said)
    )
    return torch.where(targets == NO_CLASS, 0.0, divergence(ours.movedim(1, -1), theirs.movedim(1, -1), temperature)).sum((1, 2))


def frames(output: Tensor, said: Tensor, targets: Tensor, labels: Labels, temperature: float) -> Tensor:
    """(batch,) mean over a clip's frames, whose count ``targets`` begin with, times its characters, by which CTC's is divided."""
    each = divergence(output, said, temperature)
    real = torch.arange(each.shape[1], device=each.device) < targets[:, :1]
    return (each * real).sum(1) / targets[:, 0] * (targets[:, 2:] != IGNORED).sum(1)


def next_words(output: Vocabulary, said: Vocabulary, targets: Tensor, labels: Labels, temperature: float) -> Tensor:
    """(batch,) sum over the learned tokens, each told by those before it."""
    return divergences(output, said, targets, temperature)


def hidden_words(output: Vocabulary, said: Vocabulary, targets: Tensor, labels: Labels, temperature: float) -> Tensor:
    """(batch,) sum over the hidden tokens."""
    return divergences(output, said, targets, temperature, shifted=False)


def vectors(output: Tensor, said: Tensor, targets: Tensor, labels: Labels, temperature: float) -> Tensor:
    """(batch,) of vectors of length one (batch x texts, width): squared distance, the mean over a row's texts.

    Of another width than the teacher's, the mean squared difference of each text's cosines with all texts of the batch.
    """
    if output.shape[1] == said.shape[1]:
        each = (output - said).square().sum(1)
    else:
        each = (output @ output.T - said @ said.T).square().mean(1)
    return each.view(len(targets), -1).mean(1) * (targets[:, 1] >= 0)


def by_row(loss: Callable[[Any, Any, Tensor, Labels, float], Tensor]) -> Callable[..., Tensor]:
    """A loss as a task's ``distillation_loss``, where neither the task's settings nor its weights matter."""

    def of_task(
        output: Any, said: Any, targets: Tensor, labels: Labels, temperature: float, settings: Any, weights: Tensor | None
    ) -> Tensor:
        return loss(output, said, targets, labels, temperature)

    return of_task
