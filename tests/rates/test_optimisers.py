from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from tunewright.core.registry import list_parts, load_part

NAMES = [part.name for part in list_parts("optimizers")]


def groups_of(weights: list[Tensor], decay: float = 0.0, rate: float = 0.1) -> list[dict[str, Any]]:
    return [{"params": weights, "names": ["w"], "depth": 0, "base_lr": rate, "lr": rate, "weight_decay": decay}]


def optimizer_of(name: str, weights: list[Tensor], **settings: Any) -> torch.optim.Optimizer:
    part = load_part("optimizers", name)
    return part.build(groups_of(weights), part.Settings(**settings))


def descend(optimizer: torch.optim.Optimizer, weight: Tensor, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        (weight - 1).square().sum().backward()
        optimizer.step()


def test_the_folder_holds_what_the_recipe_promises() -> None:
    assert {"adamw", "sgd", "lion", "adafactor"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_descends_and_keeps_the_groups_keys(name: str) -> None:
    weight = torch.full((4, 3), 2.0, requires_grad=True)
    optimizer = optimizer_of(name, [weight])
    descend(optimizer, weight, 20)
    assert float((weight.detach() - 1).abs().mean()) < 0.8
    assert {"names", "depth", "base_lr"} <= set(optimizer.param_groups[0])


@pytest.mark.parametrize("name", NAMES)
def test_a_rate_of_zero_moves_nothing(name: str) -> None:
    weight = torch.full((4, 3), 2.0, requires_grad=True)
    optimizer = optimizer_of(name, [weight])
    optimizer.param_groups[0]["lr"] = 0.0
    descend(optimizer, weight, 2)
    assert torch.equal(weight.detach(), torch.full((4, 3), 2.0))


@pytest.mark.parametrize("name", NAMES)
def test_the_state_is_tensors_and_numbers_and_continues_bit_for_bit(name: str) -> None:
    whole = torch.linspace(-1, 1, 12).reshape(4, 3).requires_grad_()
    first = optimizer_of(name, [whole])
    descend(first, whole, 15)
    state = copy.deepcopy(first.state_dict())
    for values in state["state"].values():
        assert all(isinstance(value, (Tensor, int, float, type(None))) for value in values.values())
    resumed, forgetful = (whole.detach().clone().requires_grad_() for _ in range(2))
    second = optimizer_of(name, [resumed])
    second.load_state_dict(state)
    descend(first, whole, 15)
    descend(second, resumed, 15)
    descend(optimizer_of(name, [forgetful]), forgetful, 15)
    assert torch.equal(whole, resumed)
    assert not torch.equal(whole, forgetful)  # negative control: without the state the path is another


@pytest.mark.parametrize("name", NAMES)
def test_decay_pulls_towards_zero_only_where_the_group_says_so(name: str) -> None:
    part = load_part("optimizers", name)
    decayed, plain = (torch.full((2, 2), 2.0, requires_grad=True) for _ in range(2))
    groups = groups_of([decayed], 0.5) + groups_of([plain], 0.0)
    optimizer = part.build(groups, part.Settings())
    for weight in (decayed, plain):
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    assert float(decayed.detach().max()) < 2.0
    assert float(plain.detach().max()) == 2.0


def test_adamw_is_torchs_and_fused() -> None:
    weight = torch.linspace(-1, 1, 12).reshape(4, 3).requires_grad_()
    reference = weight.detach().clone().requires_grad_()
    ours = optimizer_of("adamw", [weight], beta1=0.8, beta2=0.9)
    assert ours.defaults["fused"]
    descend(ours, weight, 5)
    descend(torch.optim.AdamW([reference], lr=0.1, betas=(0.8, 0.9), weight_decay=0.0), reference, 5)
    assert torch.allclose(weight, reference, atol=1e-6)


def test_lion_follows_algorithm_2_of_chen_et_al() -> None:
    generator = torch.Generator().manual_seed(0)
    gradients = [torch.randn(3, 2, generator=generator, dtype=torch.float64) for _ in range(6)]
    weight = torch.ones(3, 2, dtype=torch.float64, requires_grad=True)
    part = load_part("optimizers", "lion")
    optimizer = part.build(groups_of([weight], decay=0.2, rate=0.05), part.Settings(beta1=0.9, beta2=0.99))
    theta, momentum = torch.ones(3, 2, dtype=torch.float64), torch.zeros(3, 2, dtype=torch.float64)
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimizer.step()
        update = torch.sign(0.9 * momentum + 0.1 * gradient)
        theta = theta - 0.05 * (update + 0.2 * theta)
        momentum = 0.99 * momentum + 0.01 * gradient
        assert torch.allclose(weight.detach(), theta, atol=1e-12)
