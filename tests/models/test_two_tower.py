"""Two towers: what a vector depends on, what unknown ids do, and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tunewright.core.errors import UserError
from tunewright.core.files import read_tensors, write_tensors
from tunewright.models.two_tower import TwoTower, TwoTowerConfig, load_two_tower, save_two_tower

CONFIG = TwoTowerConfig(users=5, items=7, features=3, width=8, hidden=16)
FEATURES = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)


@pytest.fixture
def model() -> TwoTower:
    torch.manual_seed(0)
    return TwoTower(CONFIG, FEATURES).eval()


def test_vectors_have_length_one_and_an_empty_history_is_no_fault(model: TwoTower) -> None:
    users = model.users(torch.tensor([1, 0, 2]), torch.tensor([[1, 2], [0, 0], [3, 0]]))
    assert users.shape == (3, 8)
    assert users[[0, 2]].norm(dim=-1).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)
    assert torch.isfinite(users).all()
    assert model.items(torch.arange(7)).norm(dim=-1).tolist() == pytest.approx([1.0] * 7, abs=1e-5)


def test_pairs_of_a_batch_or_all_items(model: TwoTower) -> None:
    users, taken, items = torch.tensor([1, 2]), torch.tensor([[3, 4], [5, 0]]), torch.tensor([6, 1])
    pairs, scores = model(users, taken, items), model(users, taken)
    assert (pairs.shape, scores.shape) == ((2, 2, 8), (2, 7))
    torch.testing.assert_close((pairs[:, 0] * pairs[:, 1]).sum(-1), scores[[0, 1], items])


def test_the_order_of_a_history_does_not_matter_but_its_items_do(model: TwoTower) -> None:
    def user(*taken: int) -> torch.Tensor:
        return model.users(torch.tensor([1]), torch.tensor([taken]))[0]

    torch.testing.assert_close(user(1, 2, 3), user(3, 1, 2))
    torch.testing.assert_close(user(1, 2), user(1, 2, 0))
    assert (user(1, 2) - user(1, 3)).abs().max() > 1e-3


def test_training_hides_some_ids_and_evaluation_none(model: TwoTower) -> None:
    ids = torch.arange(1, 7)
    torch.testing.assert_close(model.items(ids), model.items(ids), rtol=0, atol=0)
    hiding = TwoTower(TwoTowerConfig(users=5, items=7, features=3, width=8, dropout=0.0, unknown=0.5), FEATURES).train()
    torch.manual_seed(0)
    seen = torch.stack([hiding.items(ids) for _ in range(200)])
    with torch.no_grad():
        hiding.item_ids.weight.zero_()
    share = (seen - hiding.items(ids)).abs().amax(-1).lt(1e-6).float().mean()
    assert 0.4 < share < 0.6


def test_saved_and_loaded_bit_for_bit(model: TwoTower, tmp_path: Path) -> None:
    save_two_tower(model, tmp_path)
    again = load_two_tower(tmp_path)
    assert again.config == CONFIG
    torch.testing.assert_close(again.items(torch.arange(7)), model.items(torch.arange(7)), rtol=0, atol=0)
    tensors = read_tensors(tmp_path / "model.safetensors")
    for broken in (
        {**tensors, "more": torch.zeros(1)},
        {**tensors, "features": torch.zeros(7, 2)},
        {**tensors, "features": torch.full((7, 3), float("nan"))},
        {name: tensor for name, tensor in tensors.items() if name != "features"},
    ):
        write_tensors(tmp_path / "model.safetensors", broken)
        with pytest.raises(UserError, match=r"more|features"):
            load_two_tower(tmp_path)


@pytest.mark.parametrize(
    "changed",
    [{"users": 1}, {"width": 0}, {"dropout": 1.0}, {"unknown": 1.0}, {"items": "7"}, {"more": 1}, {"model_type": "bert"}],
)
def test_configs_that_cannot_be_used_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        TwoTowerConfig.from_dict({**CONFIG.as_dict(), **changed})


def test_features_of_another_shape_are_refused() -> None:
    with pytest.raises(UserError, match="item features of shape"):
        TwoTower(CONFIG, FEATURES[:3])
