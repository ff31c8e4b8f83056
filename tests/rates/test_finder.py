from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
import pytest
import torch

from tunewright.core.errors import UserError
from tunewright.models.network import Network
from tunewright.training.lr_finder import find_rate, restored


def bowl(curvature: float, seed: int = 0, noise: float = 0.0) -> Callable[[float], float]:
    """Gradient descent on a quadratic: it diverges beyond a rate of 2 / curvature."""
    weight = torch.full((1,), 4.0, dtype=torch.float64)
    generator = random.Random(seed)

    def step(rate: float) -> float:
        loss = float(curvature / 2 * weight.square())
        weight.sub_(rate * curvature * weight)
        return loss + 1.0 + generator.gauss(0, noise)

    return step


@pytest.mark.parametrize("curvature", [0.1, 10.0, 1000.0])
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_the_suggestion_follows_the_curvature(curvature: float, noise: float) -> None:
    found = find_rate(bowl(curvature, noise=noise), low=1e-5 / curvature, high=1e3 / curvature, steps=100)
    assert 0.005 / curvature < found.suggestion < 2 / curvature
    assert f"{found.suggestion:.2g}"[:3] in found.reason or "lowest" in found.reason


def test_rates_grow_exponentially_and_the_sweep_stops_at_the_explosion() -> None:
    found = find_rate(bowl(10.0), low=1e-6, high=1e3, steps=100)
    ratios = {round(after / before, 9) for before, after in zip(found.rates, found.rates[1:], strict=False)}
    assert len(ratios) == 1
    assert len(found.rates) < 100
    assert len(found.rates) == len(found.losses) == len(found.smoothed)
    assert found.rates[0] == 1e-6


@pytest.mark.parametrize("end", [math.nan, math.inf])
def test_a_loss_that_is_not_a_number_ends_the_sweep(end: float) -> None:
    losses = iter([2 - 0.05 * number for number in range(20)] + [end])
    found = find_rate(lambda rate: next(losses), low=1e-6, high=1.0, steps=40)
    assert len(found.rates) == 20
    assert all(math.isfinite(loss) for loss in found.smoothed)


def test_a_step_that_diverges_ends_the_sweep() -> None:
    def step(rate: float) -> float:
        if rate > 1e-2:
            raise ArithmeticError("diverged")
        return 1 / (1 + rate)

    assert max(find_rate(step, low=1e-6, high=1.0, steps=40).rates) <= 1e-2


def test_a_loss_that_only_rises_suggests_the_lowest_rate_and_says_so() -> None:
    found = find_rate(lambda rate: 1 + math.log(rate / 1e-6), low=1e-6, high=1.0, steps=40)
    assert found.suggestion == 1e-6
    assert "never fell" in found.reason


@pytest.mark.parametrize("wrong", [{"low": 0.0}, {"low": 2.0}, {"steps": 3}])
def test_an_impossible_sweep_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match="not possible"):
        find_rate(lambda rate: rate, **wrong)  # type: ignore[arg-type]


def snapshot(network: Network, optimizer: torch.optim.Optimizer) -> list[object]:
    tensors = [tensor.detach().clone() for tensor in (*network.parameters(), *network.buffers())]
    state = [value.clone() for values in optimizer.state_dict()["state"].values() for value in values.values()]
    gradients = [torch.zeros(()) if p.grad is None else p.grad.clone() for p in network.parameters()]
    modes = [torch.tensor([module.training for module in network.modules()])]
    wanted = [torch.tensor([parameter.requires_grad for parameter in network.parameters()])]
    rates = [torch.tensor([group["lr"] for group in optimizer.param_groups])]
    draws = (
        torch.get_rng_state(),
        torch.tensor(np.random.get_state()[1].astype(np.int64)),
        torch.tensor(random.getstate()[1][:-1]),
    )
    return [*tensors, *state, *gradients, *modes, *wanted, *rates, *draws]


def same(first: list[object], second: list[object]) -> bool:
    pairs = zip(first, second, strict=False)
    return len(first) == len(second) and all(torch.equal(one, other) for one, other in pairs)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["AdamW", "SGD"])
def test_everything_is_put_back_bit_for_bit(make: Callable[..., Network], name: str) -> None:
    network = make()
    network.register_buffer("counter", torch.zeros(2), persistent=False)
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {"AdamW": torch.optim.AdamW, "SGD": torch.optim.SGD}
    optimizer = kinds[name](network.parameters(), lr=1e-2)
    inputs = {"input_ids": torch.tensor([[5, 6, 7]]), "attention_mask": torch.ones(1, 3, dtype=torch.int64)}

    def step() -> None:
        network.train()(inputs).square().sum().backward()
        optimizer.step()

    step()
    network.eval()
    before = snapshot(network, optimizer)
    try:
        with restored(network, optimizer):
            step()
            network.counter.add_(1)
            network.requires_grad_(False)
            optimizer.param_groups[0]["lr"] = 7.0
            random.random()
            np.random.rand()
            assert not same(before, snapshot(network, optimizer))  # negative control
            raise KeyError("anything")
    except KeyError:
        pass
    assert same(before, snapshot(network, optimizer))
