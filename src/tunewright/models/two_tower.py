"""Two towers: one makes a vector of a user, the other one of an item; what fits lies close.

Source: Yi et al. 2019, Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations, sections 3 and 4.
When: many items, new items with known features, or answers that must come from a nearest-neighbour index.
When not: a few thousand items without features, where matrix factorisation was better (docs/benchmarks.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, cast, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.core.errors import UserError
from tunewright.core.files import read_tensors, write_json, write_tensors
from tunewright.models.sources import read_object

MODEL_TYPE = "tunewright_two_tower"


@dataclass(frozen=True)
class TwoTowerConfig:
    """``users`` and ``items`` count places, the unknown one (0) among them; ``features`` is the width of an item's features.

    ``temperature`` divides the cosine; 0.3 was best of 0.05 to 0.5 on held-out rows of MovieLens-100K's first training part.
    ``unknown`` is the share of ids that training hides, so that both towers learn to do without (a guess).
    """

    users: int
    items: int
    features: int = 0
    width: int = 64
    hidden: int = 128
    temperature: float = 0.3
    dropout: float = 0.2
    unknown: float = 0.1

    def __post_init__(self) -> None:
        whole = (self.users, self.items, self.features, self.width, self.hidden)
        if not all(isinstance(value, int) and not isinstance(value, bool) for value in whole) or min(whole[:2]) < 2:
            raise UserError(f"two towers for {self.users} users and {self.items} items", expected="one of each beside place 0")
        if self.features < 0 or min(self.width, self.hidden) < 1:
            raise UserError("the towers have no width", expected="features >= 0, width >= 1, hidden >= 1")
        if not (self.temperature > 0 and 0 <= self.dropout < 1 and 0 <= self.unknown < 1):
            raise UserError("the towers cannot be trained so", expected="temperature > 0, dropout and unknown from 0 to below 1")

    def as_dict(self) -> dict[str, Any]:
        return {"model_type": MODEL_TYPE, **asdict(self)}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> TwoTowerConfig:
        """What ``as_dict`` wrote; another model_type, and missing or unknown keys are a UserError."""
        given = {key: value for key, value in saved.items() if key != "model_type"}
        known = {field.name for field in fields(cls)}
        if saved.get("model_type") != MODEL_TYPE or set(given) != known:
            raise UserError(
                "this config is not of two towers", expected=f"model_type {MODEL_TYPE} and {', '.join(sorted(known))}"
            )
        try:
            return cls(**given)
        except TypeError as error:
            raise UserError(f"the config of two towers cannot be used: {error}") from None


@final
class TwoTower(nn.Module):
    """Vectors of users and items, both (batch, width) of length one.

    An item is its id's embedding plus a projection of its features, a user its id's embedding plus the mean embedding of
    what it took; each then passes one residual hidden layer. ``features`` (items, features) is kept with the weights, for
    no item can be read without it. Ids of place 0 add nothing.
    """

    features: Tensor

    def __init__(self, config: TwoTowerConfig, features: np.ndarray | None = None) -> None:
        super().__init__()
        self.config = config
        held = np.zeros((config.items, config.features), np.float32) if features is None else features
        if held.shape != (config.items, config.features) or not np.isfinite(held).all():
            raise UserError(
                f"item features of shape {held.shape} were given",
                expected=f"finite numbers of shape {config.items, config.features}",
            )
        self.register_buffer("features", torch.from_numpy(held.astype(np.float32)))
        self.user_ids = nn.Embedding(config.users, config.width, padding_idx=0)
        self.item_ids = nn.Embedding(config.items, config.width, padding_idx=0)
        self.taken = nn.EmbeddingBag(config.items, config.width, mode="mean", padding_idx=0)
        self.read_features = nn.Linear(config.features, config.width) if config.features else None
        self.user_layers, self.item_layers = (
            nn.Sequential(
                nn.Linear(config.width, config.hidden),
                nn.ReLU(),
                nn.Dropout(config.dropout),
                nn.Linear(config.hidden, config.width),
            )
            for _ in range(2)
        )
        for table in (self.user_ids, self.item_ids, self.taken):
            nn.init.normal_(table.weight, std=1 / math.sqrt(config.width))
            with torch.no_grad():
                table.weight[0] = 0.0

    def users(self, ids: Tensor, taken: Tensor, starts: Tensor) -> Tensor:
        """Users by id, (batch,), and histories behind one another with the place where each starts, (batch,)."""
        raw = self.user_ids(self._hidden_at_times(ids)) + self.taken(taken, starts)
        return functional.normalize(raw + self.user_layers(raw), dim=-1)

    def items(self, ids: Tensor) -> Tensor:
        """Items by id, (batch,); one of place 0 in a row of its own features is read by :meth:`new_items`."""
        return self._items(self._hidden_at_times(ids), self.features[ids])

    def new_items(self, features: Tensor) -> Tensor:
        """Items that training never saw, by their features alone, (batch, features)."""
        if self.read_features is None:
            raise UserError("these towers read no item features, so a new item has no vector", expected="towers with features")
        return self._items(torch.zeros(len(features), dtype=torch.int64, device=features.device), features)

    def _items(self, ids: Tensor, features: Tensor) -> Tensor:
        raw = cast("Tensor", self.item_ids(ids))
        if self.read_features is not None:
            raw = raw + cast("Tensor", self.read_features(features))
        return functional.normalize(raw + self.item_layers(raw), dim=-1)

    def _hidden_at_times(self, ids: Tensor) -> Tensor:
        if not self.training or not self.config.unknown:
            return ids
        return torch.where(torch.rand(ids.shape, device=ids.device) < self.config.unknown, 0, ids)


def in_batch_softmax(users: Tensor, items: Tensor, log_shares: Tensor, temperature: float) -> Tensor:
    """Loss of each pair of a batch, (batch,): its item among all items of the batch, corrected for how often those come.

    ``log_shares`` (batch,) is the log of each item's share of the training pairs: an item that is often in the batch
    because it is popular would otherwise be pushed away as often (logQ correction; Yi et al. 2019, equations 3 to 5).
    """
    logits = users @ items.T / temperature - log_shares
    return functional.cross_entropy(logits, torch.arange(len(users), device=users.device), reduction="none")


def log_shares(popularity: np.ndarray) -> Tensor:
    """Log share of each item among the pairs, (items,) float32; what never came counts as half a time, so that it is finite."""
    counts = np.maximum(popularity.astype(np.float64), 0.5)
    return torch.from_numpy(np.log(counts / popularity.sum())).float()


def top_items(users: Tensor, items: Tensor, seen: list[np.ndarray], k: int) -> np.ndarray:
    """Places of the k best items for each user, best first, (batch, k) int64; place 0 and what a user has ``seen`` are left out.

    Where fewer than k are left, the rest is -1. ``items`` (items, width) has a row for each place.
    """
    scores = users @ items.T
    scores[:, 0] = -torch.inf
    for row, places in enumerate(seen):
        scores[row, torch.from_numpy(np.asarray(places, dtype=np.int64))] = -torch.inf
    values, found = scores.topk(min(k, scores.shape[1]), dim=1)
    return torch.where(values == -torch.inf, -1, found).numpy()


def save_two_tower(model: TwoTower, folder: Path) -> None:
    """config.json and model.safetensors, the items' features among the tensors."""
    write_json(folder / "config.json", model.config.as_dict())
    write_tensors(folder / "model.safetensors", model.state_dict())


def load_two_tower(folder: Path) -> TwoTower:
    """The towers saved in a folder, in evaluation mode; a tensor missing, unknown, misshapen or not finite is a UserError."""
    if not (folder / "config.json").is_file():
        raise UserError(f"the model folder '{folder}' has no config.json", expected="a folder with two towers")
    model = TwoTower(TwoTowerConfig.from_dict(read_object(folder / "config.json")))
    saved = read_tensors(folder / "model.safetensors")
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    odd = sorted(set(wanted) ^ set(saved)) or sorted(name for name in wanted if wanted[name] != saved[name].shape)
    odd = odd or sorted(name for name, tensor in saved.items() if not torch.isfinite(tensor).all())
    if odd:
        raise UserError(
            f"the weights in '{folder}' do not fit its config.json: {', '.join(odd[:5])} missing, unknown, "
            "misshapen or not finite",
            expected="weights and config of one model",
        )
    model.load_state_dict(saved)
    return model.eval()
