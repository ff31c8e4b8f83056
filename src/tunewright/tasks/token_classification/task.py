"""One tag for each word: softmax cross-entropy on the first token of each word, entities scored whole.

Source: Devlin et al. 2019, BERT, section 5.3 (first piece of a word); entity F1: Tjong Kim Sang and De Meulder 2003.
When: names, parts of speech, any span that is told by words. When not: one answer for a text (classification).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from tunewright.core.arrays import object_array
from tunewright.core.tag_schemes import scheme_of
from tunewright.core.types import Labels, Predictions
from tunewright.datasets.encoded import EncodedDataset
from tunewright.datasets.ragged import IGNORED, ragged
from tunewright.modalities.text import windows
from tunewright.modalities.words import modality as words
from tunewright.models.network import Network
from tunewright.tasks.shared import distillation
from tunewright.tasks.shared.tokens import counts as counts
from tunewright.tasks.shared.weights import class_weights as class_weights

TARGETS = "tags"
UNTARGETED = False
PIPELINE_TAGS = {"words": "token-classification"}
TEACHER_ANSWERS_ONCE = True
distillation_loss = distillation.by_row(distillation.classes)
READS = {"words": "AutoModelForTokenClassification"}
OUTPUT = "logits"
BASELINES = ("majority", "frozen")
METRICS = ("entity_f1", "entity_precision", "entity_recall", "token_accuracy")
PRIMARY = "entity_f1"
_WORDS = "token_accuracy"


def metrics(labels: Labels) -> tuple[str, ...]:
    """Entities and words; words alone where the tags name no entities, as parts of speech."""
    return METRICS if scheme_of(labels.names).has_entities else (_WORDS,)


def primary(labels: Labels) -> str:
    """What decides: entities where the tags name any, else words."""
    return PRIMARY if scheme_of(labels.names).has_entities else _WORDS


class Settings(BaseModel):
    """Loss settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of the target spread over all tags (Szegedy et al. 2016).")


def encode(
    network: Network, inputs: list[tuple[Any, ...]], targets: np.ndarray | None, settings: Settings, max_length: int
) -> EncodedDataset:
    """Windows over each row's words; the first token of a word has its tag as target, all others none."""
    encoded = words.encode(inputs, network.tokenizer, network.longest(max_length))
    if targets is None:
        return EncodedDataset(encoded, None)
    wanted = []
    for window, row in enumerate(encoded.rows):
        begins = encoded.marked(window)
        wanted.append(np.where(begins >= 0, targets[row][begins], IGNORED))
    return EncodedDataset(encoded, ragged(wanted))


def losses(output: Tensor, targets: Tensor, labels: Labels, settings: Settings, weights: Tensor | None) -> Tensor:
    """Summed loss of each window's words, (batch,), of logits (batch, tokens, tags) and tag numbers (batch, tokens)."""
    each = functional.cross_entropy(
        output.transpose(1, 2), targets, reduction="none", ignore_index=IGNORED, label_smoothing=settings.label_smoothing
    )
    return each.sum(1)


def keep(output: Tensor, encoded: windows.Encoded[np.ndarray], rows: np.ndarray) -> list[np.ndarray]:
    """The likeliest tag of each word of a window, (words,)."""
    best = output.argmax(-1).cpu().numpy()
    width, left = best.shape[1], encoded.side == "left"
    real = [tags[width - length :] if left else tags[:length] for tags, length in zip(best, encoded.lengths[rows], strict=True)]
    return [tags[encoded.marked(window) >= 0] for tags, window in zip(real, rows, strict=True)]


def decode(kept: list[np.ndarray], labels: Labels, encoded: windows.Encoded[np.ndarray]) -> Predictions:
    """Tags of each row's words, of overlapping windows from the one in which a word stands furthest from an edge."""
    tags = [np.zeros(count, dtype=np.int64) for count in encoded.about]
    margins = [np.full(count, -1) for count in encoded.about]
    for window, (row, given) in enumerate(zip(encoded.rows, kept, strict=True)):
        begins = encoded.marked(window)
        places = np.flatnonzero(begins >= 0)
        margin = np.minimum(places, len(begins) - 1 - places)
        better = margin > margins[row][begins[places]]
        chosen = begins[places][better]
        tags[row][chosen], margins[row][chosen] = given[better], margin[better]
    return Predictions(object_array(tags), None)


def shown(value: np.ndarray, labels: Labels) -> str:
    """The tags in their order."""
    return " ".join(labels.names[tag] for tag in value)


def answer(predictions: Predictions, index: int, labels: Labels) -> dict[str, Any]:
    """A tag for each word."""
    return {"predicted": [labels.names[tag] for tag in predictions.values[index]], "probability": None}


def majority(train: np.ndarray, wanted: np.ndarray, labels: Labels) -> Predictions:
    """The most frequent tag of the training words for each word of ``wanted``."""
    most = np.bincount(np.concatenate(list(train)), minlength=labels.outputs).argmax()
    return Predictions(object_array(np.full(len(row), most) for row in wanted), None)


def prior_bias(targets: np.ndarray, labels: Labels) -> Tensor:
    """Log share of each tag, add-one smoothed, of the targets of all words (n,)."""
    counted = np.bincount(targets, minlength=labels.outputs) + 1
    return torch.tensor(np.log(counted / counted.sum()), dtype=torch.float32)
