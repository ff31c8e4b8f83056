from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from tunewright.core.errors import UserError
from tunewright.core.registry import load_part
from tunewright.core.types import Applied
from tunewright.models.network import Network
from tunewright.models.tiny import FAMILIES
from tunewright.training.parameter_groups import param_groups

RATES = {"backbone": 1e-4, "head": 1e-2, "weight_decay": 0.1}


def everything(network: Network) -> Applied:
    return Applied(tuple(name for name, _ in network.named_parameters() if name not in network.head_names))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_trainable_parameter_is_in_exactly_one_group(make: Callable[..., Network], family: str) -> None:
    network = make(family)
    groups = param_groups(network, everything(network), **RATES, layer_decay=0.5)
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(held) == len(set(held))
    assert set(held) == {id(parameter) for parameter in network.parameters()}
    top = network.stack.depths - 2
    for group in groups:
        assert set(group) == {"params", "names", "depth", "base_lr", "lr", "weight_decay"}
        wanted = 1e-2 if group["depth"] == top + 1 else 1e-4 * 0.5 ** (top - group["depth"])
        assert group["base_lr"] == group["lr"] == pytest.approx(wanted)
        for name, parameter in zip(group["names"], group["params"], strict=True):
            assert network.get_parameter(name) is parameter
            assert (group["weight_decay"] == 0) == (parameter.ndim < 2), name
    assert [group["depth"] for group in groups] == sorted(group["depth"] for group in groups)


@pytest.mark.parametrize("family", ["bert", "llama", "gemma2", "t5", "modernbert"])
def test_norms_are_known_by_type_whatever_they_are_called(make: Callable[..., Network], family: str) -> None:
    network = make(family)
    kinds = {type(module).__name__ for module in network.modules() if "Norm" in type(module).__name__}
    assert kinds
    from tunewright.models.norm import is_norm

    for module in network.modules():
        assert is_norm(module) == ("Norm" in type(module).__name__), type(module).__name__


def test_a_norm_over_a_matrix_has_no_decay_and_a_linear_with_one_output_has(make: Callable[..., Network]) -> None:
    network = make()
    network.inner.extra = nn.ModuleDict({"scale": nn.LayerNorm((2, 3)), "thin": nn.Linear(5, 1)})
    names = tuple(name for name, _ in network.inner.extra.named_parameters(prefix="inner.extra"))
    decay = {name: group["weight_decay"] for group in param_groups(network, Applied(names), **RATES) for name in group["names"]}
    assert decay["inner.extra.scale.weight"] == 0
    assert decay["inner.extra.thin.weight"] == 0.1
    assert decay["inner.extra.thin.bias"] == 0


@pytest.mark.parametrize(("method", "decayed"), [("ia3", False), ("bias_only", False), ("lora", True)])
def test_scales_and_biases_of_methods_have_no_decay(make: Callable[..., Network], method: str, decayed: bool) -> None:
    network = make()
    part = load_part("methods", method)
    applied = part.apply(network, part.Settings(**({"rank": 1} if method == "lora" else {})))
    groups = param_groups(network, applied, **RATES)
    decay = {name: group["weight_decay"] > 0 for group in groups for name in group["names"]}
    assert set(decay) == {*applied.trainable, *network.head_names}
    assert {decay[name] for name in applied.trainable} == {decayed}


def test_frozen_layers_are_never_in_the_optimizer(make: Callable[..., Network]) -> None:
    network = make()
    applied = Applied(tuple(name for name in everything(network).trainable if ".layer.2." in name))
    names = {name for group in param_groups(network, applied, **RATES) for name in group["names"]}
    assert names == {*applied.trainable, *network.head_names}
    opened = param_groups(network, everything(network), **RATES, open_from=2)
    assert min(group["depth"] for group in opened) == 2


def test_the_head_trains_even_when_nothing_is_open(make: Callable[..., Network]) -> None:
    network = make()
    groups = param_groups(network, everything(network), **RATES, open_from=network.stack.depths - 1)
    assert {name for group in groups for name in group["names"]} >= set(network.head_names)


def test_a_shared_parameter_appears_once(make: Callable[..., Network]) -> None:
    network = make()
    first = "inner.bert.encoder.layer.0.output.dense.weight"
    second = "inner.bert.encoder.layer.1.output.dense.weight"
    network.get_submodule(second.removesuffix(".weight")).weight = network.get_parameter(first)
    groups = param_groups(network, Applied((first, second)), **RATES)
    names = [name for group in groups for name in group["names"] if "dense.weight" in name and "encoder" in name]
    assert names == [first]


def test_rate_factors_multiply(make: Callable[..., Network]) -> None:
    network = make()
    name = "inner.bert.encoder.layer.1.output.dense.weight"
    groups = param_groups(network, Applied((name,), rate_factors={name: 16.0}), **RATES)
    assert [group["base_lr"] for group in groups if name in group["names"]] == [pytest.approx(1.6e-3)]


def test_explicit_rates_by_depth(make: Callable[..., Network]) -> None:
    network = make()
    below = network.stack.depths - 1
    rates = [10.0**-number for number in range(below)]
    groups = param_groups(network, everything(network), **RATES, learning_rates_by_depth=rates)
    assert {group["depth"]: group["base_lr"] for group in groups} == dict(enumerate([*rates, 1e-2]))
    with pytest.raises(UserError, match=f"{below}, one for each of: embeddings, block 0"):
        param_groups(network, everything(network), **RATES, learning_rates_by_depth=rates[:-1])


def test_a_step_moves_each_group_by_its_own_rate(make: Callable[..., Network]) -> None:
    """ULMFiT's rule seen in the weights: with plain SGD and equal gradients, each layer moves 1/2.6 of the one above."""
    network = make()
    groups = param_groups(network, everything(network), backbone=1e-2, head=1.0, layer_decay=1 / 2.6)
    optimizer = torch.optim.SGD(groups)
    names = [f"inner.bert.encoder.layer.{number}.output.dense.weight" for number in range(3)]
    before = [network.get_parameter(name).detach().clone() for name in names]
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    moved = [float((old - network.get_parameter(name)).mean().detach()) for name, old in zip(names, before, strict=True)]
    assert moved[1] / moved[0] == pytest.approx(2.6, rel=1e-3)
    assert moved[2] / moved[1] == pytest.approx(2.6, rel=1e-3)
