"""Hidden words told from both sides: cross-entropy of the tokens that were masked.

Perplexity is that of the hidden tokens alone (a pseudo-perplexity), on masks that are the same whenever rows are scored.
Source: Devlin et al. 2019, BERT, section 3.1; adapting to a domain so: Gururangan et al. 2020, Don't stop pretraining.
When: an encoder is to read texts of another domain before it is tuned for a task. When not: writing (language).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from tunewright.core.errors import UserError
from tunewright.core.types import Labels, Predictions
from tunewright.datasets.encoded import EncodedDataset
from tunewright.datasets.ragged import IGNORED
from tunewright.modalities.language import masked
from tunewright.models.network import Network
from tunewright.models.vocabulary import Vocabulary
from tunewright.tasks.causal_lm.task import answer as answer
from tunewright.tasks.causal_lm.task import badness as badness
from tunewright.tasks.causal_lm.task import shown as shown
from tunewright.tasks.shared import distillation
from tunewright.tasks.shared.tokens import by_row, likelihoods
from tunewright.tasks.shared.tokens import counts as counts
from tunewright.tasks.shared.weights import class_weights as class_weights

TARGETS = "unsupervised"
UNTARGETED = True
PIPELINE_TAGS = {"text": "fill-mask"}
TEACHER_ANSWERS_ONCE = False
distillation_loss = distillation.by_row(distillation.hidden_words)
READS = {"text": "AutoModelForMaskedLM"}
OUTPUT = "vocabulary"
BASELINES = ("before",)
METRICS = ("perplexity", "masked_accuracy")
PRIMARY = "perplexity"
DEFAULTS = {"data": {"max_length": 512}}  # as far as BERT reads


class Settings(BaseModel):
    """What is hidden."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: float = Field(0.15, gt=0, lt=1, description="Share of the tokens that are hidden (Devlin et al. 2019).")
    whole_words: bool = Field(False, description="Hide all pieces of a word together (BERT's whole-word masking).")


def encode(
    network: Network, inputs: list[tuple[Any, ...]], targets: np.ndarray | None, settings: Settings, max_length: int
) -> EncodedDataset:
    """Windows of each text, with the same tokens hidden whenever they are read."""
    if any(len(row) != 1 for row in inputs):
        raise UserError("two text columns were named for a language model", expected="one column of raw text")
    texts = [str(row[0]) for row in inputs]
    encoded = masked.encode(network.tokenizer, texts, network.longest(max_length), settings.share, settings.whole_words)
    return EncodedDataset(encoded, masked.Targets(encoded))


def for_training(examples: EncodedDataset, network: Network, packing: bool) -> EncodedDataset:
    """The same windows with masks drawn anew in each step."""
    encoded: Any = replace(examples.encoded, draws=True, drawn={})  # type: ignore[type-var]
    return EncodedDataset(encoded, masked.Targets(encoded))


def losses(output: Vocabulary, targets: Tensor, labels: Labels, settings: Settings, weights: Tensor | None) -> Tensor:
    """Summed loss of each window's hidden tokens, (batch,)."""
    return output.losses(targets, shifted=False).sum(1)


def keep(output: Vocabulary, encoded: masked.Encoded, rows: np.ndarray) -> np.ndarray:
    """Summed loss in nats, hidden tokens, UTF-8 bytes of the text, and how many were told rightly, (batch, 4)."""
    targets = masked.Targets(encoded).padded(rows, encoded.side)
    hidden = targets != IGNORED
    told = np.zeros_like(hidden)
    with torch.no_grad():
        told[hidden] = output.likeliest(output.hidden[torch.from_numpy(hidden)]).cpu().numpy() == targets[hidden]
    return np.column_stack([likelihoods(output, targets, encoded.sizes[rows], shifted=False), told.sum(1)])


def decode(kept: np.ndarray, labels: Labels, encoded: masked.Encoded) -> Predictions:
    """The same sums for each row, (n, 4)."""
    return Predictions(by_row(kept, encoded.rows, 4), None)
