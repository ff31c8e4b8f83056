"""Two towers: one makes a vector of a user, the other one of an item; what fits lies close.

Source: Yi et al. 2019, Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations, sections 3 and 4.
When: many items, new items with known features, or answers that must come from a nearest-neighbor index.
When not: a few thousand items without features, where matrix factorisation was better (docs/benchmarks/).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, cast, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.core.errors import UserError
from tunewright.core.files import read_object, read_tensors, write_json, write_tensors

MODEL_TYPE = "tunewright_two_tower"


@dataclass(frozen=True)
class TwoTowerConfig:
    """``users`` and ``items`` count places, the unknown one (0) among them; ``features`` is the width of an item's features.

    ``unknown`` is the share of ids that training hides, so that both towers learn to do without (a guess).
    """

    users: int
    items: int
    features: int = 0
    width: int = 64
    hidden: int = 128
    dropout: float = 0.2
    unknown: float = 0.1
    model_type: ClassVar[str] = MODEL_TYPE
    is_encoder_decoder: ClassVar[bool] = False

    def __post_init__(self) -> None:
        whole = (self.users, self.items, self.features, self.width, self.hidden)
        if not all(isinstance(value, int) and not isinstance(value, bool) for value in whole) or min(whole[:2]) < 2:
            raise UserError(f"two towers for {self.users} users and {self.items} items", expected="one of each beside place 0")
        if self.features < 0 or min(self.width, self.hidden) < 1:
            raise UserError("the towers have no width", expected="features >= 0, width >= 1, hidden >= 1")
        if not (0 <= self.dropout < 1 and 0 <= self.unknown < 1):
            raise UserError("the towers cannot be trained so", expected="dropout and unknown from 0 to below 1")

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
class Tower(nn.Module):
    """One residual hidden layer and length one: what was read, (batch, width), as a vector, (batch, width)."""

    def __init__(self, config: TwoTowerConfig) -> None:
        super().__init__()
        self.inner = nn.Linear(config.width, config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.outer = nn.Linear(config.hidden, config.width)

    def forward(self, read: Tensor) -> Tensor:
        hidden = self.dropout(functional.relu(self.inner(read)))
        return functional.normalize(read + self.outer(hidden), dim=-1)


@final
class TwoTower(nn.Module):
    """Vectors of users and items, each of length one.

    An item is its id's embedding plus a projection of its features, a user its id's embedding plus the mean embedding of
    what it took; each then passes its tower. ``features`` (items, features) is kept with the weights, for no item can be
    read without it. Ids of place 0 add nothing.
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
        self.towers = nn.ModuleList([Tower(config), Tower(config)])
        for table in (self.user_ids, self.item_ids, self.taken):
            nn.init.normal_(table.weight, std=1 / math.sqrt(config.width))
            with torch.no_grad():
                table.weight[0] = 0.0

    def forward(self, users: Tensor, taken: Tensor, items: Tensor | None = None) -> Tensor:
        """Vectors of users and of the items that they took, (batch, 2, width); without items each user's cosine with all of
        them, (batch, places).

        ``taken`` (batch, longest) is the users' history, 0 where there is no more.
        """
        read = self.users(users, taken)
        if items is None:
            return read @ self.items(torch.arange(self.config.items, device=users.device)).T
        return torch.stack([read, self.items(items)], 1)

    def users(self, ids: Tensor, taken: Tensor) -> Tensor:
        """Users by id and history, (batch, width)."""
        return cast("Tensor", self.towers[0](self.user_ids(self._hidden_at_times(ids)) + self.taken(taken)))

    def items(self, ids: Tensor) -> Tensor:
        """Items by id, (batch, width)."""
        raw = cast("Tensor", self.item_ids(self._hidden_at_times(ids)))
        if self.read_features is not None:
            raw = raw + cast("Tensor", self.read_features(self.features[ids]))
        return cast("Tensor", self.towers[1](raw))

    def _hidden_at_times(self, ids: Tensor) -> Tensor:
        if not self.training or not self.config.unknown:
            return ids
        return torch.where(torch.rand(ids.shape, device=ids.device) < self.config.unknown, 0, ids)


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
