"""Gradients by rows: those of autograd, whatever else reaches the table."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import nn

from tunewright.training.gradients import Gradients

ROWS, WIDTH = 2**14, 64  # large enough to be kept by rows


class Tiny(nn.Module):
    """A table, read twice, and a layer that may share its weights."""

    def __init__(self, tied: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(ROWS, WIDTH, padding_idx=0)
        self.out = nn.Linear(WIDTH, ROWS, bias=False)
        if tied:
            self.out.weight = self.table.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.out(self.table(ids).mean(1) + self.table(ids[:, :1]).squeeze(1))
        return found.square().mean()


def batches() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = [torch.randint(0, ROWS, (8, 5), generator=generator) for _ in range(3)]
    ids[0][:, 3:] = 0  # padding, and in the next two rows that come twice
    ids[1][:, 1] = ids[1][:, 0]
    return ids


def gradients_of(tied: bool, by_rows: bool, penalty: bool) -> list[torch.Tensor]:
    network: Any = Tiny(tied)
    found, keeper = [], Gradients(network)

    def steps() -> None:
        for ids in batches():
            keeper.clear()
            network(ids).backward()
            network(ids.flip(0)).backward()
            if penalty:
                network.table.weight.square().sum().backward()
            found.append(network.table.weight.grad.clone())

    if by_rows:
        with keeper.by_rows():
            steps()
    else:
        steps()
    return found


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("penalty", [False, True])
def test_they_are_those_of_autograd(tied: bool, penalty: bool) -> None:
    for ours, wanted in zip(gradients_of(tied, True, penalty), gradients_of(tied, False, penalty), strict=True):
        torch.testing.assert_close(ours, wanted, rtol=1e-5, atol=1e-8)  # added up in another order


def test_one_look_up_is_bit_equal() -> None:
    ids, found = batches()[1], []
    for by_rows in (True, False):
        network: Any = Tiny()
        with Gradients(network).by_rows() if by_rows else nullcontext():
            network.table(ids).square().sum().backward()
        found.append(network.table.weight.grad)
    assert torch.equal(*found)


def test_a_table_that_opens_later_and_one_that_is_frozen() -> None:
    network: Any = Tiny()
    keeper = Gradients(network)
    network.table.weight.requires_grad_(False)
    with keeper.by_rows():
        network(batches()[0]).backward()
        assert network.table.weight.grad is None
        network.table.weight.requires_grad_(True)
        keeper.clear()
        network(batches()[1]).backward()
        assert int((network.table.weight.grad.abs().sum(1) > 0).sum()) == len(batches()[1].unique())
    assert "forward" not in vars(network.table)
    assert not network.table.weight._backward_hooks


def test_clipping_is_that_of_torch() -> None:
    for limit in (None, 1e-4, 1e4):
        ours, theirs = Tiny(), Tiny()
        for network in (ours, theirs):
            network(batches()[0]).backward()
        norm = Gradients.clip(list(ours.parameters()), limit)  # type: ignore[arg-type]
        wanted = torch.nn.utils.clip_grad_norm_(theirs.parameters(), float("inf") if limit is None else limit)
        assert norm == pytest.approx(float(wanted))
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=0)
