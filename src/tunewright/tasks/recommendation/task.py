"""Items that a user will take: the user's vector among those of all items, learnt from batches of what was taken.

Source: Yi et al. 2019, Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations, equations 3 to 5: the
batch's other items are the negatives, corrected for how often each comes.
When: many items, or answers that must come from a nearest-neighbor index. When not: some thousand items that are known by
their ids alone, where matrix factorisation was better (docs/benchmarks/).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from tunewright.config.recipe import Choice
from tunewright.core.arrays import object_array
from tunewright.core.types import Labels, Predictions
from tunewright.datasets.encoded import EncodedDataset
from tunewright.datasets.rows import Rows
from tunewright.modalities.interactions import modality as interactions
from tunewright.models.network import Network

TARGETS = "pairs"
UNTARGETED = False
PIPELINE_TAGS = {"interactions": "other"}
TEACHER_ANSWERS_ONCE = False
distillation_loss = None
READS = {"interactions": "TwoTower"}
OUTPUT = "vectors"
WHOLE_BATCH = True
BASELINES = ("popular",)
METRICS = ("recall_at_10", "mean_reciprocal_rank", "recall_at_1")
PRIMARY = "recall_at_10"
# As they were best on held-out rows of MovieLens-100K's first training part; nothing is pre-trained here, so rates are high.
DEFAULTS = {
    "optimization": {"learning_rate": 3e-3, "weight_decay": 1e-4, "schedule": Choice(name="constant")},
    "training": {"epochs": 30, "batch_size": 1024, "early_stopping_patience": 4},
}

_LISTED = 10  # items that are recommended


class Settings(BaseModel):
    """Loss settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(
        0.3, gt=0, le=1, description="Divides the cosines (best of 0.05 to 0.5 on held-out rows of MovieLens-100K)."
    )
    corrected: bool = Field(True, description="Take each item's share of the rows off its score in a batch (Yi et al. 2019).")


def encode(
    network: Network, inputs: list[tuple[Any, ...]], targets: np.ndarray | None, settings: Settings, max_length: int
) -> EncodedDataset:
    """Places of users and items, which are the targets as well; without targets, users for whom items are looked for."""
    encoded = interactions.encode(inputs, network.processor, known=targets is not None)
    return EncodedDataset(encoded, encoded.items)


def class_weights(targets: np.ndarray, labels: Labels, settings: Settings) -> Tensor | None:
    """Log share of the rows of each place, (places,); None without the correction."""
    if not settings.corrected:
        return None
    counts = np.maximum(np.bincount(targets), 0.5)  # place 0 never comes, and its logarithm has to be finite
    return torch.from_numpy(np.log(counts / counts.sum())).float()


def losses(output: Tensor, targets: Tensor, labels: Labels, settings: Settings, weights: Tensor | None) -> Tensor:
    """Cross-entropy of each row's item, (batch,): among those of a training batch, of vectors (batch, 2, width); or among all
    items, of an evaluated batch's cosines (batch, places).
    """
    if output.ndim == 2:
        return functional.cross_entropy(output / settings.temperature, targets, reduction="none") * (targets > 0)
    logits = output[:, 0] @ output[:, 1].T / settings.temperature
    logits = logits if weights is None else logits - weights[targets]
    return functional.cross_entropy(logits, torch.arange(len(targets), device=targets.device), reduction="none")


def counts(targets: Tensor, weights: Tensor | None) -> Tensor:
    """Rows of a known item weigh one, (batch,)."""
    return (targets > 0).float()


def keep(output: Tensor, encoded: interactions.Encoded, rows: np.ndarray) -> np.ndarray:
    """Rank of each row's item, from 1, 0 where training never saw it, and the first items, (batch, 1 + listed) places."""
    scores = output.float().cpu().numpy().copy()  # the loss still reads the output
    kept = np.zeros((len(rows), 1 + _LISTED), dtype=np.int64)
    for place, row in enumerate(rows):
        item = 0 if encoded.items is None else int(encoded.items[row])
        own, scores[place, encoded.left_out(row)] = scores[place, item], -np.inf
        kept[place, 0] = 0 if item == 0 else 1 + (scores[place] > own).sum()
        first = np.argsort(-scores[place], kind="stable")[:_LISTED]
        first = first[np.isfinite(scores[place, first])]
        kept[place, 1 : 1 + len(first)] = first
    return kept


def decode(kept: np.ndarray, labels: Labels, encoded: interactions.Encoded) -> Predictions:
    """Of rows with an item its rank, (n,); of users the names of the items that fit best, best first, (n,) tuples."""
    if encoded.items is not None:
        return Predictions(kept[:, 0], None)
    names = encoded.catalogue.items
    return Predictions(object_array(tuple(names[place - 1] for place in row[1:] if place) for row in kept), None)


def from_inputs(name: str, inputs: list[tuple[Any, ...]], train: Rows) -> Predictions:
    """``popular``: the rank of each row's item among all that its user did not take, the most taken first."""
    pairs = dict.fromkeys((row[0], row[1]) for row in train.inputs)
    popularity, taken = Counter(item for _, item in pairs), dict[str, set[str]]()
    for user, item in [*pairs, *(row[:2] for row in inputs)]:
        taken.setdefault(user, set()).add(item)
    order = {item: place for place, (item, _) in enumerate(popularity.most_common())}
    ranks = [
        0 if item not in order else 1 + order[item] - sum(order.get(other, len(order)) < order[item] for other in taken[user])
        for user, item, *_ in inputs
    ]
    return Predictions(np.array(ranks, dtype=np.int64), None)


def shown(value: Any, labels: Labels) -> str:
    """An item, a rank, or items."""
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def answer(predictions: Predictions, index: int, labels: Labels) -> dict[str, Any]:
    """The items that fit best, best first; where a row's own item is known, its rank."""
    value = predictions.values[index]
    return {"predicted": list(value) if isinstance(value, tuple) else int(value), "probability": None}


def badness(targets: np.ndarray, predictions: Predictions) -> np.ndarray:
    """Items that came before the right one, (n,)."""
    ranks = predictions.values
    return np.where(ranks == 0, ranks.max(initial=0) + 1, ranks).astype(np.float64)
