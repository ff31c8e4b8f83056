"""Distillation: a trained network's answers as softer targets beside the true ones.

Source: Hinton, Vinyals and Dean 2015, section 2; each task has its own ``distillation_loss``. Where a row's answer is a few
numbers that never change, the teacher answers each training row once, before training, and leaves. Elsewhere it runs beside
the student on the same batches, because what it says of every token or pixel is more than can be kept: its weights stay in
memory, and of a vocabulary only hidden states, whose products are made in pieces.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from tunewright.config.recipe import Distillation
from tunewright.core.errors import UserError
from tunewright.core.registry import list_parts, load_part, name_of
from tunewright.core.types import Labels
from tunewright.datasets.encoded import EncodedDataset, batch
from tunewright.models.network import Network
from tunewright.training.forward import Forward
from tunewright.training.predict import arithmetic, predict_logits


@final
@dataclass(frozen=True)
class Teacher:
    """What a teacher said of each training example: (n, outputs), or for each token in a list of (tokens, outputs).

    Where ``outputs`` is None, ``network`` is asked for each batch. ``head`` and ``head_settings`` are the student's.
    """

    outputs: Any
    labels: Labels
    settings: Distillation
    head: ModuleType
    head_settings: Any = None
    side: str = "right"
    network: Network | None = None
    precision: str = "float32"

    def mixed(self, losses: Tensor, output: Any, targets: Tensor, said: Any, weights: Tensor | None = None) -> Tensor:
        """Losses of some examples, (batch,), with the teacher's share; ``said`` is its answer to them."""
        share, warmth = self.settings.weight, self.settings.temperature
        soft: Tensor = self.head.distillation_loss(output, said, targets, self.labels, warmth, self.head_settings, weights)
        return (1 - share) * losses + share * soft

    def kept(self, output: Tensor, rows: np.ndarray) -> Tensor:
        """What was said of some examples, in the shape of the student's output."""
        if isinstance(self.outputs, np.ndarray):
            return torch.from_numpy(self.outputs[rows]).to(output.device)
        said = torch.zeros_like(output)
        for place, row in enumerate(rows):
            values = torch.from_numpy(self.outputs[row])
            start = output.shape[1] - len(values) if self.side == "left" else 0
            said[place, start : start + len(values)] = values.to(output.device)
        return said

    def asked(self, inputs: dict[str, Tensor]) -> Any:
        """The teacher's output for a batch."""
        assert self.network is not None
        with torch.no_grad(), arithmetic(self.network, self.precision):
            said = self.network({name: value for name, value in inputs.items() if name in self.network.reads})
        said = said.float() if hasattr(said, "float") else said
        return _in_units(said, self.network.labels, self.labels) if isinstance(said, Tensor) else said


def answered(
    teacher: Teacher | None, forward: Forward, examples: EncodedDataset, rows: np.ndarray, inputs: dict[str, Tensor] | None = None
) -> tuple[Any, Any]:
    """The student's output for some training examples, and what the teacher says of the same batch; None without one.

    ``inputs`` is their batch where it is there.
    """
    if teacher is None:
        return forward(examples, rows, inputs=inputs), None
    if teacher.network is None:
        output = forward(examples, rows, inputs=inputs)
        return output, teacher.kept(output, rows)
    if inputs is None:
        reads = {*forward.network.reads, *teacher.network.reads}
        inputs = batch(examples, rows, reads, forward.network.device, training=True)
    return forward(examples, rows, inputs=inputs), teacher.asked(inputs)


def make_teacher(
    network: Network,
    head: ModuleType,
    read: Callable[[], EncodedDataset],
    student: Network,
    student_head: ModuleType,
    head_settings: Any,
    train: EncodedDataset,
    settings: Distillation,
    precision: str,
) -> Teacher:
    """The trained ``network`` as a teacher; ``read`` makes the training rows as it reads them itself."""
    labels = student.labels
    if network.labels.task != labels.task or network.labels.names != labels.names or head is not student_head:
        raise UserError(
            f"the teacher answers {_told(network.labels, head)}",
            expected=f"{_told(labels, student_head)}, as the student",
            try_="a teacher that was trained on the same labels",
        )
    name = name_of("tasks", head)
    if head.distillation_loss is None:
        can = [part.name for part in list_parts("tasks") if load_part("tasks", part.name).distillation_loss is not None]
        raise UserError(
            f"{name.replace('_', ' ')} cannot be distilled", expected=" or ".join(one.replace("_", " ") for one in can)
        )
    alike = _read_alike(network, student)
    if head.TEACHER_ANSWERS_ONCE and not (train.encoded.varies and alike):
        outputs = predict_logits(network, read(), precision=precision)
        if not isinstance(outputs, np.ndarray) and [len(one) for one in outputs] != train.encoded.lengths.tolist():
            raise UserError("teacher and student cut words into other tokens", expected="the same tokenizer in both")
        outputs = _in_units(outputs, network.labels, labels)
        return Teacher(outputs, labels, settings, head, head_settings, getattr(train.encoded, "side", "right"))
    if not alike:
        raise UserError(
            f"the teacher of {name.replace('_', ' ')} reads its inputs otherwise than the student",
            expected="the same tokenizer, or the same preparation of images or sounds, in both",
            try_="model.source: the teacher's own model folder, with model.blocks for fewer of its blocks",
        )
    network = network.eval().requires_grad_(False).to(student.device)
    return Teacher(None, labels, settings, head, head_settings, network=network, precision=precision)


def _told(labels: Labels, head: ModuleType) -> str:
    """A task with its classes, in words."""
    return f"{name_of('tasks', head).replace('_', ' ')} with {list(labels.names) or 'no classes'}"


def _read_alike(first: Network, second: Network) -> bool:
    """Whether two networks make the same inputs of a row."""
    return _compared(first.processor) == _compared(second.processor)


def _compared(processor: Any) -> list[Any]:
    """What tells one preparation of inputs from another: of a tokenizer, its vocabulary."""
    parts: list[Any] = [getattr(processor, name) for name in ("sounds", "tokenizer") if hasattr(processor, name)]
    parts = parts or [processor]
    return [part.get_vocab() if hasattr(part, "get_vocab") else part for part in parts]


def _in_units(outputs: Any, theirs: Labels, mine: Labels) -> Any:
    """Outputs for numbers from the teacher's units to the student's, those of several columns each in its own."""
    if mine.parts:
        start = 0
        outputs = outputs.copy() if isinstance(outputs, np.ndarray) else outputs.clone()
        for (_, old), (_, new) in zip(theirs.parts, mine.parts, strict=True):
            own = slice(start, start + new.outputs)
            outputs[:, own] = _in_units(outputs[:, own], old, new)
            start = own.stop
        return outputs
    if mine.task not in ("regression", "sentence_similarity"):
        return outputs
    return (outputs * theirs.spread + theirs.mean - mine.mean) / mine.spread
