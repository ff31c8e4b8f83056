"""One vector for each text, close where texts belong together: each positive against all others of the batch.

Source: Henderson et al. 2017, section 4.4 (the other rows' positives are the negatives); duplicates in a batch are no
negatives; Matryoshka: Kusupati et al. 2022, section 3 (the first numbers of a vector are a vector, too).
When: search, clustering, duplicates, few-shot classes. When not: one score of two texts that are read together (similarity).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from tunewright.core.errors import UserError
from tunewright.core.types import Labels, Predictions
from tunewright.datasets.encoded import EncodedDataset
from tunewright.modalities.pairs import modality as pairs
from tunewright.models.network import Network
from tunewright.tasks.shared import distillation
from tunewright.tasks.shared.weights import class_weights as class_weights

TARGETS = "pairs"
UNTARGETED = False
PIPELINE_TAGS = {"pairs": "sentence-similarity"}
TEACHER_ANSWERS_ONCE = False
distillation_loss = distillation.by_row(distillation.vectors)
READS = {"pairs": "AutoModel"}
OUTPUT = "vectors"
WHOLE_BATCH = True
BASELINES = ("before",)
METRICS = ("mean_reciprocal_rank", "recall_at_1", "recall_at_10")
PRIMARY = "mean_reciprocal_rank"

_BLOCK = 1024  # rows that are compared with all others at once


class Settings(BaseModel):
    """Loss settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(0.05, gt=0, le=1, description="Divides the cosines (Gao et al. 2021, SimCSE: 0.05).")
    symmetric: bool = Field(False, description="Also from each positive to the anchors (Radford et al. 2021).")
    matryoshka: tuple[int, ...] = Field(
        (), description="Widths at which a vector's beginning is trained, too; the loss is the mean over them and the whole."
    )


def encode(
    network: Network, inputs: list[tuple[Any, ...]], targets: np.ndarray | None, settings: Settings, max_length: int
) -> EncodedDataset:
    """Each row's texts with numbers that say which belong together, (n, texts); without targets, texts to embed."""
    width = network.inner.config.hidden_size
    if settings.matryoshka and not 0 < min(settings.matryoshka) <= max(settings.matryoshka) <= width:
        raise UserError(f"head.matryoshka is {settings.matryoshka}", expected=f"widths from 1 to the vectors' own, {width}")
    encoded = pairs.encode(inputs, targets, network.tokenizer, network.longest(max_length), known=targets is not None)
    return EncodedDataset(encoded, encoded.ids)


def losses(output: Tensor, targets: Tensor, labels: Labels, settings: Settings, weights: Tensor | None) -> Tensor:
    """Loss of each row, (batch,), of vectors (batch x texts, width), each row's behind one another, and ids (batch, texts)."""
    vectors = output.view(len(targets), -1, output.shape[-1])
    widths = sorted({*settings.matryoshka, output.shape[-1]})
    each = [_contrast(functional.normalize(vectors[..., :width], dim=-1), targets, settings) for width in widths]
    return torch.stack(each).mean(0) * (targets[:, 1] >= 0)


def _contrast(vectors: Tensor, ids: Tensor, settings: Settings) -> Tensor:
    """Cross-entropy of finding each row's positive among all positives and negatives of the batch, (batch,)."""
    rows = torch.arange(len(ids), device=ids.device)
    scores = vectors[:, 0] @ vectors[:, 1:].transpose(0, 1).flatten(0, 1).T / settings.temperature
    together = _together(ids)
    loss = functional.cross_entropy(scores.masked_fill(together, float("-inf")), rows, reduction="none")
    if not settings.symmetric:
        return loss
    back = scores[:, : len(ids)].T.masked_fill(together[:, : len(ids)].T, float("-inf"))
    return (loss + functional.cross_entropy(back, rows, reduction="none")) / 2


def _together(ids: Tensor) -> Tensor:
    """Candidates (columns) that are no negatives of a row although they are not its own positive, (batch, candidates)."""
    candidates = ids[:, 1:].T.flatten()
    found = (candidates == ids[:, :1]) | (candidates == ids[:, 1:2])
    found[:, : len(ids)] |= ids[:, 0] == ids[:, :1]
    return found.fill_diagonal_(False)


def counts(targets: Tensor, weights: Tensor | None) -> Tensor:
    """Every row with a partner weighs one, (batch,)."""
    return (targets[:, 1] >= 0).float()


def keep(output: Tensor, encoded: pairs.Encoded, rows: np.ndarray) -> np.ndarray:
    """The vectors of each row's texts, (batch, texts x width)."""
    kept: np.ndarray = output.float().cpu().numpy().reshape(len(rows), -1)
    return kept


def decode(kept: np.ndarray, labels: Labels, encoded: pairs.Encoded) -> Predictions:
    """Of rows whose partners are known, the rank of the first right text, (n,), from 1; of others, the vectors (n, width)."""
    if encoded.ids is None:
        return Predictions(kept, None)
    ids = encoded.ids
    vectors = kept.reshape(*ids.shape, -1)
    if encoded.by_class:
        return Predictions(_ranks(vectors[:, 0], vectors[:, 0], ids[:, 0], ids[:, 0], own=True), None)
    names, first = np.unique(ids[:, 1:], return_index=True)
    return Predictions(_ranks_of_pairs(vectors[:, 0], vectors[:, 1:].reshape(-1, vectors.shape[-1])[first], ids, names), None)


def _ranks(queries: np.ndarray, texts: np.ndarray, wanted: np.ndarray, known: np.ndarray, *, own: bool) -> np.ndarray:
    """Rank of the nearest text of each query's class among all others; 0 where it has none."""
    ranks = np.zeros(len(queries), dtype=np.int64)
    for start in range(0, len(queries), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(queries)))
        scores = queries[block] @ texts.T
        right = wanted[block, None] == known[None]
        if own:
            right[np.arange(len(block)), block] = False
            scores[np.arange(len(block)), block] = -np.inf
        ranks[block] = _first(scores, right, ~right)
    return ranks


def _ranks_of_pairs(queries: np.ndarray, texts: np.ndarray, ids: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Rank of the nearest positive of each anchor among all distinct texts that are not the anchor itself."""
    places = np.searchsorted(names, ids[:, 1])
    _, anchors = np.unique(ids[:, 0], return_inverse=True)
    order = np.argsort(anchors, kind="stable")
    starts = np.searchsorted(anchors[order], np.arange(anchors.max(initial=-1) + 2))
    ranks = np.zeros(len(queries), dtype=np.int64)
    for start in range(0, len(queries), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(queries)))
        scores = queries[block] @ texts.T
        right = np.zeros(scores.shape, dtype=bool)
        for place, row in enumerate(block):
            right[place, places[order[starts[anchors[row]] : starts[anchors[row] + 1]]]] = True
        ranks[block] = _first(scores, right, ~right & (names[None] != ids[block, :1]))
    return ranks


def _first(scores: np.ndarray, right: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """1 and the number of wrong texts before the first right one, (rows,); 0 where there is none."""
    best = np.where(right, scores, -np.inf).max(1, initial=-np.inf)
    ahead: np.ndarray = (wrong & (scores > best[:, None])).sum(1)
    return np.where(right.any(1), ahead + 1, 0)


def shown(value: Any, labels: Labels) -> str:
    """A positive, a class number, or a rank."""
    return str(value)


def badness(targets: np.ndarray, predictions: Predictions) -> np.ndarray:
    """Texts that came before the right one, (n,)."""
    ranks = predictions.values
    return np.where(ranks == 0, len(ranks), ranks - 1).astype(np.float64)


def answer(predictions: Predictions, index: int, labels: Labels) -> dict[str, Any]:
    """The vector, of length one."""
    return {"predicted": [float(value) for value in predictions.values[index]], "probability": None}
