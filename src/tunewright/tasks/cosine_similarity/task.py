"""How alike two texts are, by the cosine of their vectors, each embedded alone: head.name=cosine_similarity.

Source: Reimers and Gurevych 2019, Sentence-BERT, section 3 (regression objective); the cosines from 0 to 1 stand for the scores
within √3 spreads of their mean, the ends of an even distribution.
When: pairs with a graded score, and a sentence encoder to start from; vectors are kept and compared later. When not: pairs that
must be read together to be judged (similarity as it is), or pairs without a score (embedding).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from torch.nn import functional

from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets.encoded import EncodedDataset
from tunewright.modalities.pairs import modality as pairs
from tunewright.models.network import Network
from tunewright.tasks.regression.task import answer as answer
from tunewright.tasks.regression.task import class_weights as class_weights
from tunewright.tasks.regression.task import counts as counts
from tunewright.tasks.regression.task import decode as decode
from tunewright.tasks.regression.task import majority as majority
from tunewright.tasks.regression.task import shown as shown
from tunewright.tasks.sentence_similarity.task import METRICS as METRICS
from tunewright.tasks.sentence_similarity.task import PRIMARY as PRIMARY

TARGETS = None
UNTARGETED = False
PIPELINE_TAGS = {"text": "sentence-similarity"}
TEACHER_ANSWERS_ONCE = False
distillation_loss = None
READS = {"text": "AutoModel"}
OUTPUT = "vectors"
BASELINES = ("majority", "before")

_MIDDLE, _STEEP = 0.5, 2 * math.sqrt(3)


class Settings(BaseModel):
    """None yet."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def encode(
    network: Network, inputs: list[tuple[Any, ...]], targets: np.ndarray | None, settings: Settings, max_length: int
) -> EncodedDataset:
    """The two texts of each row, apart; targets (n,) in their own units."""
    if inputs and len(inputs[0]) != 2:
        raise UserError(
            f"head.name=cosine_similarity compares two texts, and these rows have {len(inputs[0])}",
            expected="two text columns: data.text: [first, second]",
            try_="leave head.name out",
        )
    encoded = pairs.encode(inputs, None, network.tokenizer, network.longest(max_length), known=True)
    return EncodedDataset(encoded, targets)


def losses(output: Tensor, targets: Tensor, labels: Labels, settings: Settings, weights: Tensor | None) -> Tensor:
    """Squared error of each row, (batch,), of vectors (batch x 2, width) and scores (batch,), in the scores' spreads."""
    return functional.mse_loss(_standard(output), (targets - labels.mean) / labels.spread, reduction="none")


def keep(output: Tensor, encoded: pairs.Encoded, rows: np.ndarray) -> np.ndarray:
    """What the cosines stand for in spreads from the mean, (batch, 1)."""
    kept: np.ndarray = _standard(output)[:, None].float().cpu().numpy()
    return kept


def _standard(vectors: Tensor) -> Tensor:
    first, second = torch.unbind(vectors.view(-1, 2, vectors.shape[-1]), 1)
    return ((first * second).sum(-1) - _MIDDLE) * _STEEP
