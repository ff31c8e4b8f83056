"""The frozen prefix, for every family and every depth: what was kept, put back, gives the same output and gradients."""

from __future__ import annotations

import pytest
import torch

from tests.models.conftest import TEXTS
from tunewright.models.network import Network
from tunewright.models.prefix import capture, find_prefix, replayed
from tunewright.models.tiny import FAMILIES

CASES = [(family, pooling) for family in FAMILIES for pooling in ("native", "mean")]


def count_runs(network: Network, names: tuple[str, ...]) -> dict[str, int]:
    """How often the innards of each block run from now on."""
    runs = dict.fromkeys(names, 0)

    def one_more(name: str) -> None:
        runs[name] += 1

    for name in names:
        first = next(
            module
            for module in network.get_submodule(name).modules()
            if isinstance(module, torch.nn.Linear) or "Conv1D" in str(type(module))
        )
        first.register_forward_hook(lambda *_, name=name: one_more(name))
    return runs


@pytest.mark.parametrize(("family", "pooling"), CASES)
def test_replaying_is_the_whole_pass(make, batch_of, family, pooling):
    network = make(family, pooling).eval()
    inputs, used = batch_of(network), 0
    blocks = tuple(group.modules[0] for group in network.stack.blocks)
    runs = count_runs(network, blocks)
    for depth in range(1, network.stack.depths):
        prefix = find_prefix(network, depth, inputs)
        if prefix is None:
            continue
        used += 1
        upper = [name for name, _ in network.named_parameters() if network.stack.depth_of(name) >= depth]
        network.requires_grad_(False)
        for name in upper:
            network.get_parameter(name).requires_grad_(True)
        whole = network(inputs)
        wanted = torch.autograd.grad(whole.square().sum(), [network.get_parameter(name) for name in upper], allow_unused=True)
        kept = capture(network, [prefix], inputs)
        runs.update(dict.fromkeys(blocks, 0))
        with replayed(network, prefix, kept):
            again = network(inputs)
        torch.testing.assert_close(again, whole, rtol=0, atol=0)
        found = torch.autograd.grad(again.square().sum(), [network.get_parameter(name) for name in upper], allow_unused=True)
        for name, one, other in zip(upper, found, wanted, strict=True):
            assert (one is None) == (other is None), name
            if one is not None:
                torch.testing.assert_close(one, other, rtol=0, atol=0, msg=name)
        assert all(runs[name] == 0 for name in (*prefix.tops, *prefix.passed))
        assert prefix.saved == sum(run == 0 for run in runs.values())
    # albert's blocks share their weights: only all of them together; T5's first encoder block makes the position bias
    assert used == {"albert": 1 + (network.stack.depths > 3)}.get(family, network.stack.depths - (3 if family == "t5" else 2))


def test_one_pass_serves_every_depth(make, batch_of):
    network = make("bert").eval()
    inputs = batch_of(network)
    prefixes = [prefix for depth in range(network.stack.depths) if (prefix := find_prefix(network, depth, inputs))]
    together = capture(network, prefixes, inputs)
    for prefix in prefixes:
        alone = capture(network, [prefix], inputs)
        assert all(torch.equal(together[name], alone[name]) for name in prefix.tops)


def test_a_change_of_what_was_kept_changes_the_output(make, batch_of):
    """Negative control: the kept states are what is read."""
    network = make("bert").eval()
    inputs = batch_of(network)
    prefix = find_prefix(network, 2, inputs)
    kept = capture(network, [prefix], inputs)
    with torch.no_grad(), replayed(network, prefix, {name: value + 1.0 for name, value in kept.items()}):
        moved = network(inputs)
    with torch.no_grad():
        assert not torch.allclose(moved, network(inputs))


def test_the_network_is_left_as_it_was(make, batch_of):
    network = make("bert").eval()
    inputs = batch_of(network)
    prefix = find_prefix(network, 3, inputs)
    with pytest.raises(ZeroDivisionError), replayed(network, prefix, capture(network, [prefix], inputs)):
        raise ZeroDivisionError
    assert not any("forward" in vars(module) for module in network.modules())
    assert not any(module._forward_hooks for module in network.modules())
    assert len(TEXTS) == len(network(inputs))
