"""Two towers: the corrected loss against its formula and its aim, what unknown ids do, lists, and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from tunewright.core.errors import UserError
from tunewright.core.files import read_tensors, write_tensors
from tunewright.models.two_tower import (
    TwoTower,
    TwoTowerConfig,
    in_batch_softmax,
    load_two_tower,
    log_shares,
    save_two_tower,
    top_items,
)

CONFIG = TwoTowerConfig(users=5, items=7, features=3, width=8, hidden=16)
FEATURES = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)


@pytest.fixture
def model() -> TwoTower:
    torch.manual_seed(0)
    return TwoTower(CONFIG, FEATURES).eval()


def test_the_loss_is_the_papers_formula() -> None:
    generator = torch.Generator().manual_seed(1)
    users, items = (functional.normalize(torch.randn(6, 8, generator=generator), dim=-1) for _ in range(2))
    shares = torch.rand(6, generator=generator)
    found = in_batch_softmax(users, items, shares.log(), 0.2)
    for row in range(6):
        corrected = [float(users[row] @ items[other]) / 0.2 - float(shares[other].log()) for other in range(6)]
        wanted = -corrected[row] + np.log(np.sum(np.exp(corrected)))
        assert found[row].item() == pytest.approx(wanted, rel=1e-5)


def test_corrected_batches_estimate_the_softmax_over_all_items() -> None:
    """Uncorrected ones do not: items that come often are pushed away."""
    generator = torch.Generator().manual_seed(2)
    items = functional.normalize(torch.randn(20, 8, generator=generator), dim=-1)
    user = functional.normalize(torch.randn(8, generator=generator), dim=-1)
    counts = torch.arange(1.0, 21.0) ** 2
    drawn = torch.multinomial(counts, 4000, replacement=True, generator=generator)
    users = user.expand(4000, -1)
    every = user @ items.T / 0.3
    chance = every.softmax(0)

    def estimated(shares: torch.Tensor) -> torch.Tensor:
        logits = users[0] @ items[drawn].T / 0.3 - shares[drawn]
        return torch.zeros(20).index_add(0, drawn, logits.softmax(0))

    shares = log_shares(np.append(0, counts.numpy()))[1:]
    assert (estimated(shares) - chance).abs().max() < 0.03
    assert (estimated(torch.zeros(20)) - chance).abs().max() > 0.1
    # the loss itself, up to how many were drawn
    losses = in_batch_softmax(users, items[drawn], shares[drawn], 0.3)
    wanted = functional.cross_entropy(every.expand(4000, -1), drawn, reduction="none")
    difference = losses - wanted - (shares[drawn] + np.log(4000))
    assert difference.abs().max() < 0.1


def test_log_shares_are_finite_for_items_that_never_came() -> None:
    found = log_shares(np.array([0, 3, 1]))
    assert found.tolist() == pytest.approx(np.log([0.125, 0.75, 0.25]).tolist())


def test_vectors_have_length_one_and_an_empty_history_is_no_fault(model: TwoTower) -> None:
    users = model.users(torch.tensor([1, 0, 2]), torch.tensor([1, 2, 3]), torch.tensor([0, 2, 2]))
    assert users.shape == (3, 8)
    assert users[[0, 2]].norm(dim=-1).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)
    assert torch.isfinite(users).all()
    assert model.items(torch.arange(7)).norm(dim=-1).tolist() == pytest.approx([1.0] * 7, abs=1e-5)


def test_the_order_of_a_history_does_not_matter_but_its_items_do(model: TwoTower) -> None:
    def user(*taken: int) -> torch.Tensor:
        return model.users(torch.tensor([1]), torch.tensor(taken), torch.tensor([0]))[0]

    torch.testing.assert_close(user(1, 2, 3), user(3, 1, 2))
    assert (user(1, 2) - user(1, 3)).abs().max() > 1e-3


def test_a_new_item_is_read_by_its_features(model: TwoTower) -> None:
    with torch.no_grad():
        model.item_ids.weight[4] = 0.0
    features = torch.from_numpy(FEATURES[4:5])
    torch.testing.assert_close(model.new_items(features), model.items(torch.tensor([4])))
    plain = TwoTower(TwoTowerConfig(users=5, items=7, width=8))
    with pytest.raises(UserError, match="no item features"):
        plain.new_items(features)
    assert plain.items(torch.tensor([3])).shape == (1, 8)


def test_training_hides_some_ids_and_evaluation_none(model: TwoTower) -> None:
    ids = torch.arange(1, 7)
    torch.testing.assert_close(model.items(ids), model.items(ids), rtol=0, atol=0)
    hiding = TwoTower(TwoTowerConfig(users=5, items=7, features=3, width=8, dropout=0.0, unknown=0.5), FEATURES).train()
    torch.manual_seed(0)
    seen = torch.stack([hiding.items(ids) for _ in range(200)])
    alone = hiding.new_items(torch.from_numpy(FEATURES[1:]))
    share = (seen - alone).abs().amax(-1).lt(1e-6).float().mean()
    assert 0.4 < share < 0.6


def test_lists_leave_out_what_was_seen_and_nothing() -> None:
    users = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    items = torch.tensor([[9.0, 9.0], [0.1, 0.4], [0.3, 0.3], [0.2, 0.1]])
    assert top_items(users, items, [np.array([2]), np.array([])], 2).tolist() == [[3, 1], [1, 2]]
    assert top_items(users, items, [np.array([1, 2]), np.array([1, 2, 3])], 3).tolist() == [[3, -1, -1], [-1, -1, -1]]


def test_training_learns_who_likes_what() -> None:
    """Two groups of users and items; users take from their own group only."""
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    model = TwoTower(TwoTowerConfig(users=21, items=21, width=16, dropout=0.0))
    users = generator.integers(1, 21, 600)
    items = 1 + 2 * generator.integers(0, 10, 600) + users % 2
    shares = log_shares(np.bincount(items, minlength=21))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    empty = torch.empty(0, dtype=torch.int64)
    for _ in range(60):
        part = generator.permutation(600)[:128]
        user = model.users(torch.from_numpy(users[part]), empty, torch.zeros(128, dtype=torch.int64))
        item = model.items(torch.from_numpy(items[part]))
        optimiser.zero_grad()
        in_batch_softmax(user, item, shares[items[part]], model.config.temperature).mean().backward()
        optimiser.step()
    model.eval()
    with torch.no_grad():
        every = model.users(torch.arange(1, 21), empty, torch.zeros(20, dtype=torch.int64))
        lists = top_items(every, model.items(torch.arange(21)), [np.array([])] * 20, 10)
    right = (lists - 1) % 2 == (np.arange(1, 21) % 2)[:, None]
    assert right.mean() > 0.95


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
    [{"users": 1}, {"width": 0}, {"temperature": 0.0}, {"unknown": 1.0}, {"items": "7"}, {"more": 1}, {"model_type": "bert"}],
)
def test_configs_that_cannot_be_used_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        TwoTowerConfig.from_dict({**CONFIG.as_dict(), **changed})


def test_features_of_another_shape_are_refused() -> None:
    with pytest.raises(UserError, match="item features of shape"):
        TwoTower(CONFIG, FEATURES[:3])
