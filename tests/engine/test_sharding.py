"""Shares of the weights: the network that comes back is the one that one process would have trained, and each holds its part."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.test_world import together
from tests.engine.toy import toy_job, toy_recipe
from tests.tiny import folders
from tunewright.core.distributed import ALONE, DistributedContext
from tunewright.core.errors import UserError
from tunewright.core.files import read_tensors, write_tensors
from tunewright.core.sharding import is_shared, shared_as, whole
from tunewright.training.fsdp import in_shares
from tunewright.training.trainer import train

FAMILIES = ("albert", "gpt2", "llama", "t5", "modernbert")  # shared blocks, fused weights, tied tables, two towers, mixed layers


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    return folders(tmp_path_factory)


def job_of(base: Path, world: DistributedContext, **sections: Any) -> Any:
    training = {"shard": True, "precision": "float32", "threads": 1, "max_steps": 6, "batch_size": 8} | sections.pop(
        "training", {}
    )
    sections = {"strategy": "full", "model": {"dropout": 0.0}} | sections
    return toy_job(toy_recipe(base, training=training, **sections), world=world)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_network_that_comes_back_is_the_one_of_one_process(
    folder_of: Callable[[str], Path], tmp_path: Path, family: str
) -> None:
    base = folder_of(family)

    def work(world: DistributedContext) -> None:
        job = job_of(base, world)
        train(job)
        if world.is_main_process:
            write_tensors(tmp_path / "two.safetensors", {name: value.detach() for name, value in job.network.named_parameters()})

    assert together(2, work) == [0, 0]
    job = job_of(base, ALONE)
    before = {name: value.detach().clone() for name, value in job.network.named_parameters()}
    train(job)
    two = read_tensors(tmp_path / "two.safetensors")
    assert set(two) == set(before)
    for name, value in job.network.named_parameters():
        assert torch.allclose(two[name], value, atol=2e-4), name  # Adam's step where the gradient is nothing but rounding
    assert any(not torch.equal(two[name], value) for name, value in before.items())


def test_each_process_holds_its_part(tiny_bert: Path) -> None:
    def work(world: DistributedContext) -> None:
        job = job_of(tiny_bert, world)
        weights = sum(parameter.numel() for parameter in job.network.parameters())
        with in_shares(job) as inside:
            held = list(inside.network.parameters())
            assert all(is_shared(parameter) for parameter in held)
            mine = sum(parameter.to_local().numel() for parameter in held)  # type: ignore[attr-defined, operator]
            assert mine == pytest.approx(weights / 2, rel=0.02)  # odd rows are not halved
            assert sum(parameter.numel() for parameter in job.network.parameters()) == 0  # nobody keeps a second network
            assert world.all_reduce_sum(mine) == weights
        there = sum(parameter.numel() for parameter in job.network.parameters())
        assert there == (weights if world.is_main_process else 0)

    assert together(2, work) == [0, 0]


def test_a_whole_tensor_and_its_shares_are_the_same(tiny_bert: Path) -> None:
    def work(world: DistributedContext) -> None:
        job = job_of(tiny_bert, world)
        before = {name: value.detach().clone() for name, value in job.network.named_parameters()}
        with in_shares(job) as inside:
            shares = dict(inside.network.named_parameters())
            again = {name: whole(share) for name, share in shares.items()}
            assert all(torch.equal(again[name], value) for name, value in before.items())
            dealt = {name: shared_as(value, shares[name]) for name, value in before.items()}
            assert all(torch.equal(dealt[name].to_local(), shares[name].to_local()) for name in before)  # type: ignore[attr-defined, operator]

    assert together(3, work) == [0, 0, 0]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"averaging": ["ema"]}, "averaging"),
        ({"optimization": {"optimizer": "adafactor"}}, "adafactor"),
    ],
)
def test_what_shares_cannot_do_is_refused(tiny_bert: Path, asked: dict[str, Any], said: str) -> None:
    def work(world: DistributedContext) -> None:
        with pytest.raises(UserError, match=said):
            train(job_of(tiny_bert, world, **asked))

    assert together(2, work) == [0, 0]


def test_one_process_alone_keeps_its_network(tiny_bert: Path) -> None:
    job = job_of(tiny_bert, ALONE)
    with in_shares(job) as inside:
        assert inside is job
