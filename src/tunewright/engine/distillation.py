"""Distillation: a trained network's outputs as softer targets beside the true ones.

Source: Hinton, Vinyals and Dean 2015, section 2: cross-entropy with the teacher's probabilities at a temperature, times its
square, so that both parts keep their weight when the temperature changes. Numbers: squared distance (Ba and Caruana 2014).
The teacher answers each training row once, before training; no second network stays in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tunewright.core.errors import UserError
from tunewright.core.parts import name_of
from tunewright.core.types import Labels
from tunewright.data.examples import Examples
from tunewright.data.ragged import IGNORED
from tunewright.engine.predict import predict_logits
from tunewright.models.network import Network
from tunewright.recipe import Distillation

# Tasks whose outputs one of the losses below reads rightly: classes of a row or word, one yes or no per class or grade, a number.
_TASKS = ("classification", "tagging", "multi_label", "ordinal", "regression", "similarity")


@final
@dataclass(frozen=True)
class Teacher:
    """What a teacher said of each training example: (n, outputs), or for each token in a list of (tokens, outputs)."""

    outputs: Any
    labels: Labels
    settings: Distillation
    side: str = "right"

    def mixed(self, losses: Tensor, output: Tensor, targets: Tensor, rows: np.ndarray) -> Tensor:
        """Losses of some examples, (batch,), with the teacher's share."""
        share = self.settings.weight
        return (1 - share) * losses + share * self._losses(output, targets, rows)

    def _losses(self, output: Tensor, targets: Tensor, rows: np.ndarray) -> Tensor:
        said = self._said(output, rows)
        if not self.labels.names:
            return (output - said).square().sum(-1)
        warmth = self.settings.temperature
        if not self.labels.exclusive:
            return functional.binary_cross_entropy_with_logits(output, said.sigmoid(), reduction="none").mean(1)
        soft = functional.kl_div(
            (output / warmth).log_softmax(-1), (said / warmth).log_softmax(-1), reduction="none", log_target=True
        ).sum(-1)
        return warmth**2 * (soft if soft.ndim == 1 else torch.where(targets == IGNORED, 0.0, soft).sum(1))

    def _said(self, output: Tensor, rows: np.ndarray) -> Tensor:
        if isinstance(self.outputs, np.ndarray):
            return torch.from_numpy(self.outputs[rows]).to(output.device)
        said = torch.zeros_like(output)
        for place, row in enumerate(rows):
            values = torch.from_numpy(self.outputs[row])
            start = output.shape[1] - len(values) if self.side == "left" else 0
            said[place, start : start + len(values)] = values.to(output.device)
        return said


def make_teacher(
    network: Network,
    head: ModuleType,
    examples: Examples,
    student: Network,
    train: Examples,
    settings: Distillation,
    precision: str,
) -> Teacher:
    """Ask the trained ``network`` about every training row; ``examples`` are these rows as it reads them."""
    labels = student.labels
    if network.labels.task != labels.task or network.labels.names != labels.names:
        raise UserError(
            f"the teacher answers {network.labels.task} with {list(network.labels.names) or 'numbers'}",
            expected=f"{labels.task} with {list(labels.names) or 'numbers'}, as the student",
            try_="a teacher that was trained on the same labels",
        )
    if name_of(head) not in _TASKS:
        raise UserError(
            f"{name_of(head).replace('_', ' ')} cannot be distilled yet",
            expected=" or ".join(name.replace("_", " ") for name in _TASKS),
        )
    outputs = predict_logits(network, examples, precision=precision)
    if not isinstance(outputs, np.ndarray) and [len(one) for one in outputs] != train.encoded.lengths.tolist():
        raise UserError("teacher and student cut words into other tokens", expected="the same tokenizer in both")
    if not labels.names:  # from the teacher's units to the student's
        outputs = (outputs * network.labels.spread + network.labels.mean - labels.mean) / labels.spread
    return Teacher(outputs, labels, settings, getattr(train.encoded, "side", "right"))
