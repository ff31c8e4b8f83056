from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from pydantic import ValidationError

from tunewright.core.registry import list_parts, load_part
from tunewright.models.network import Network

NAMES = [part.name for part in list_parts("regularizers")]


def names_of(network: Network) -> tuple[str, ...]:
    return tuple(name for name, _ in network.named_parameters())


def test_the_folder_holds_what_the_recipe_promises() -> None:
    assert "l2_sp" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_contract(make: Callable[..., Network], name: str) -> None:
    network, part = make(), load_part("regularizers", name)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    penalty = part.prepare(network, names_of(network), part.Settings())
    value = penalty()
    assert value.shape == ()
    value.backward()
    assert any(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in network.parameters())
    assert all(torch.equal(before[key], now) for key, now in network.state_dict().items())  # preparing changes nothing
    assert all(field.description for field in part.Settings.model_fields.values())
    with pytest.raises(ValidationError):
        part.Settings(unknown=1)


def test_l2_sp_is_equation_2_of_li_et_al(make: Callable[..., Network]) -> None:
    network, part = make(), load_part("regularizers", "l2_sp")
    start = {name: value.detach().clone() for name, value in network.named_parameters()}
    penalty = part.prepare(network, names_of(network), part.Settings(alpha=0.3, beta=0.05))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(torch.randn(value.shape, generator=generator) * 0.1)
    wanted, gradients = 0.0, {}
    for name, value in network.named_parameters():
        rest = value.detach() if name in network.head_names else value.detach() - start[name]
        strength = 0.05 if name in network.head_names else 0.3
        wanted += strength / 2 * float(rest.double().square().sum())
        gradients[name] = strength * rest
    result = penalty()
    result.backward()
    assert float(result.detach()) == pytest.approx(wanted, rel=1e-5)
    for name, value in network.named_parameters():
        assert torch.allclose(value.grad, gradients[name], atol=1e-6), name  # type: ignore[arg-type]


def test_l2_sp_leaves_layers_alone_that_are_not_open(make: Callable[..., Network]) -> None:
    network, part = make(), load_part("regularizers", "l2_sp")
    penalty = part.prepare(network, names_of(network), part.Settings())
    frozen = "inner.bert.encoder.layer.0.output.dense.weight"
    network.get_parameter(frozen).requires_grad_(False)
    penalty().backward()
    assert network.get_parameter(frozen).grad is None


def test_l2_sp_pulls_back_to_the_start(make: Callable[..., Network]) -> None:
    network, part = make(), load_part("regularizers", "l2_sp")
    name = "inner.bert.encoder.layer.1.output.dense.weight"
    weight = network.get_parameter(name)
    start = weight.detach().clone()
    penalty = part.prepare(network, (name,), part.Settings(alpha=1.0))
    with torch.no_grad():
        weight.add_(1.0)
    optimizer = torch.optim.SGD([weight], lr=0.5)
    for _ in range(20):
        optimizer.zero_grad()
        penalty().backward()
        optimizer.step()
    assert torch.allclose(weight, start, atol=1e-4)
