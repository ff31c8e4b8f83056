"""The answer to a question as a piece of its context: a softmax over the tokens for its start and one for its end.

Source: Devlin et al. 2019, BERT, sections 4.2 and 4.3: the loss is the mean of both ends' cross-entropy; a question without
an answer, and a window that does not hold it, points at the first token; the best span is the one with the largest sum.
When: every answer stands in a text that is given with the question. When not: answers in own words (generation).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from tunewright.core.arrays import object_array
from tunewright.core.types import Labels, Predictions
from tunewright.datasets.encoded import EncodedDataset
from tunewright.datasets.ragged import IGNORED, ragged
from tunewright.datasets.targets.spans import Answer
from tunewright.modalities.question import modality as question
from tunewright.modalities.text import windows
from tunewright.models.network import Network
from tunewright.tasks.shared import distillation
from tunewright.tasks.shared.weights import class_weights as class_weights
from tunewright.tasks.shared.weights import counts as counts

TARGETS = "spans"
UNTARGETED = False
PIPELINE_TAGS = {"question": "question-answering"}
TEACHER_ANSWERS_ONCE = False
distillation_loss = distillation.by_row(distillation.spans)
READS = {"question": "AutoModelForQuestionAnswering"}
OUTPUT = "spans"
BASELINES = ("majority", "before")
METRICS = ("answer_f1", "exact_match")
PRIMARY = "answer_f1"

_START, _END = 1, 2  # bits of a token's target


class Settings(BaseModel):
    """How an answer is chosen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    longest_answer: int = Field(30, ge=1, description="Tokens of an answer at most (Devlin et al.'s code).")
    empty_margin: float = Field(
        0.0,
        description="A span must beat 'no answer' by this much where train has questions without one (Devlin et al. tune it).",
    )


def encode(
    network: Network, inputs: list[tuple[Any, ...]], targets: np.ndarray | None, settings: Settings, max_length: int
) -> EncodedDataset:
    """Windows over each context; a token's target says whether the answer starts (1) or ends (2) there, or neither (0)."""
    encoded = question.encode(inputs, network.tokenizer, network.longest(max_length))
    empty, margin = network.labels.mean > 0, settings.empty_margin
    asked = replace(encoded.about, longest_answer=settings.longest_answer, may_be_empty=empty, margin=margin)
    encoded = replace(encoded, about=asked)
    if targets is None:
        return EncodedDataset(encoded, None)
    return EncodedDataset(
        encoded, ragged([_wanted(encoded.marked(window), targets[row]) for window, row in enumerate(encoded.rows)])
    )


def _wanted(spans: np.ndarray, answers: tuple[Answer, ...]) -> np.ndarray:
    """The first right answer's ends among a window's tokens, or both at the first token where the window does not hold it."""
    inside = spans[:, 0] >= 0
    codes = np.where(inside, 0, IGNORED)
    codes[0] = 0
    first = last = 0
    if answers:
        begin = answers[0].start + len(answers[0]) - len(answers[0].lstrip())
        end = answers[0].start + len(answers[0].rstrip())
        held = np.flatnonzero(inside & (spans[:, 1] > begin) & (spans[:, 0] < end))
        if len(held) and spans[held[0], 0] <= begin and spans[held[-1], 1] >= end:
            first, last = held[0], held[-1]
    codes[first] |= _START
    codes[last] |= _END
    return codes


def losses(output: Tensor, targets: Tensor, labels: Labels, settings: Settings, weights: Tensor | None) -> Tensor:
    """Mean cross-entropy of both ends, (batch,), over the context's tokens and the first one; output (batch, tokens, 2)."""
    allowed = targets != IGNORED
    logits = output.masked_fill(~allowed[..., None], float("-inf"))
    ends = [((targets & bit) > 0) & allowed for bit in (_START, _END)]
    each = [functional.cross_entropy(logits[..., side], end.int().argmax(1), reduction="none") for side, end in enumerate(ends)]
    return torch.stack(each).mean(0)


def keep(output: Tensor, encoded: windows.Encoded[question.Asked], rows: np.ndarray) -> np.ndarray:
    """Of each window: its best span's score, first and last character, and the score of no answer, (batch, 4)."""
    logits = output.float().cpu().numpy().astype(np.float64)
    places, real = encoded.places(rows)
    spans = np.where(real[..., None], encoded.marks[places], -1)
    inside = spans[..., 0] >= 0
    start, end = (np.where(inside, logits[..., side], -np.inf) for side in (0, 1))
    best = np.full((len(rows), 3), -np.inf)  # score, first token, last token
    width = start.shape[1]
    for more in range(min(encoded.about.longest_answer, width)):
        sums = start[:, : width - more] + end[:, more:]
        first = sums.argmax(1)
        value = sums[np.arange(len(rows)), first]
        better = value > best[:, 0]
        best[better] = np.stack([value, first, first + more], 1)[better]
    first, last = (np.maximum(best[:, place], 0).astype(np.int64) for place in (1, 2))
    batch = np.arange(len(rows))
    opening = real.argmax(1)
    nothing = logits[batch, opening].sum(1)
    return np.stack([best[:, 0], spans[batch, first, 0], spans[batch, last, 1], nothing], 1)


def decode(kept: np.ndarray, labels: Labels, encoded: windows.Encoded[question.Asked]) -> Predictions:
    """The best span of all windows of each question, as a slice of its context that knows its start; "" where there is none."""
    asked = encoded.about
    answers = [Answer("", 0) for _ in asked.contexts]
    best = np.full(len(answers), -np.inf)
    nothing = np.full(len(answers), np.inf)
    for row, (score, begin, end, empty) in zip(encoded.rows, kept, strict=True):
        nothing[row] = min(nothing[row], empty)
        if score > best[row]:
            best[row], answers[row] = score, _cut(asked.contexts[row], int(begin), int(end))
    if asked.may_be_empty:
        for row in np.flatnonzero(best < nothing + asked.margin):
            answers[row] = Answer("", 0)
    return Predictions(object_array(answers), None)


def _cut(context: str, begin: int, end: int) -> Answer:
    """A slice without the spaces that some tokenizers count to their tokens."""
    text = context[begin:end]
    return Answer(text.strip(), begin + len(text) - len(text.lstrip()))


def shown(value: Any, labels: Labels) -> str:
    """An answer, or all right ones."""
    return str(value if isinstance(value, str) else " | ".join(dict.fromkeys(value))) or "(no answer)"


def answer(predictions: Predictions, index: int, labels: Labels) -> dict[str, Any]:
    """The answer and at which character of its context it starts, None where there is no answer."""
    found = predictions.values[index]
    return {"predicted": str(found), "start": found.start if found else None, "probability": None}


def majority(train: np.ndarray, wanted: np.ndarray, labels: Labels) -> Predictions:
    """The commonest answer of the training rows, "no answer" counted as one, for each row of ``wanted``."""
    counted: dict[str, int] = {}
    for answers in train:
        text = str(answers[0]) if answers else ""
        counted[text] = counted.get(text, 0) + 1
    return Predictions(object_array([max(counted, key=lambda text: counted[text])] * len(wanted)), None)
