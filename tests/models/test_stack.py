"""The stack's contract, for every family and both kinds of pooling: order, completeness, and a forward pass as witness."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tunewright.core.errors import UserError
from tunewright.models.linear import linear_names, linear_shape
from tunewright.models.stack import find_stack
from tunewright.models.tiny import FAMILIES

CASES = [(family, pooling) for family in FAMILIES for pooling in ("native", "mean")]
LAYERS = {"albert": 1, "t5": 6}  # one set of weights that runs three times; encoder and decoder


@pytest.fixture(scope="module")
def network_of(make):
    made = {}

    def get(family, pooling):
        if (family, pooling) not in made:
            made[family, pooling] = make(family, pooling)
        return made[family, pooling]

    return get


@pytest.mark.parametrize(("family", "pooling"), CASES)
def test_every_tensor_is_in_exactly_one_group(network_of, family, pooling):
    network = network_of(family, pooling)
    groups = network.stack.groups
    for kind, held in (("parameters", network.named_parameters()), ("buffers", network.named_buffers())):
        listed = [name for group in groups for name in getattr(group, kind)]
        assert sorted(listed) == sorted(name for name, _ in held)


@pytest.mark.parametrize(("family", "pooling"), CASES)
def test_groups_go_from_the_embeddings_to_the_head(network_of, family, pooling):
    network = network_of(family, pooling)
    stack = network.stack
    layers = 3 if (family, pooling) == ("t5", "mean") else LAYERS.get(family, 3)
    blocks = [f"block {index}" for index in range(layers)]
    names = [group.name for group in stack.groups]
    assert names in ([["embeddings", *blocks, *rest, "head"] for rest in ([], ["final"])])
    assert [group.depth for group in stack.groups] == list(range(len(names))) == list(range(stack.depths))
    assert stack.head.parameters == tuple(name for name, _ in network.named_parameters() if name in network.head_names)
    words = network.inner.get_input_embeddings().weight
    word_name = next(name for name, parameter in network.named_parameters() if parameter is words)
    assert stack.depth_of(word_name) == 0
    assert stack.shared == (3 if family == "albert" else 1)


@pytest.mark.parametrize(("family", "pooling"), CASES)
def test_blocks_are_in_the_order_in_which_they_run(network_of, batch_of, family, pooling):
    network = network_of(family, pooling)
    ran: list[str] = []
    hooks = [
        network.get_submodule(group.modules[0]).register_forward_pre_hook(lambda *_, name=group.name: ran.append(name))
        for group in network.stack.blocks
    ]
    with torch.no_grad():
        network(batch_of(network))
    for hook in hooks:
        hook.remove()
    assert list(dict.fromkeys(ran)) == [group.name for group in network.stack.blocks]
    assert len(ran) == len(network.stack.blocks) * network.stack.shared


@pytest.mark.parametrize(("family", "pooling"), CASES)
def test_a_change_at_a_depth_leaves_everything_below_it_as_it_was(make, batch_of, family, pooling):
    """What freezing below a depth relies on; a group in the wrong place fails here."""
    network = make(family, pooling)
    blocks, inputs = network.stack.blocks, batch_of(network)
    outputs: dict[str, list[torch.Tensor]] = {}

    def record(_, __, output, name):
        outputs.setdefault(name, []).append((output[0] if isinstance(output, tuple) else output).clone())

    for group in blocks:
        network.get_submodule(group.modules[0]).register_forward_hook(
            lambda module, arguments, output, name=group.name: record(module, arguments, output, name)
        )
    with torch.no_grad():
        network(inputs)
        before, outputs_before = dict(outputs), outputs.copy()
        outputs.clear()
        upper = blocks[-1].depth
        for name, parameter in network.named_parameters():
            if network.stack.depth_of(name) >= upper:
                parameter.add_(0.1)
        network(inputs)
    assert outputs_before.keys() == outputs.keys()
    for group in blocks[:-1]:
        assert all(torch.equal(a, b) for a, b in zip(before[group.name], outputs[group.name], strict=True))
    assert not torch.equal(before[blocks[-1].name][-1], outputs[blocks[-1].name][-1])


FINAL = {"gpt2": "ln_f", "modernbert": "final_norm", "t5": "final_layer_norm"} | dict.fromkeys(
    ("llama", "qwen2", "qwen3", "gemma", "gemma2"), "norm"
)
POOLERS = ("bert", "albert")


@pytest.mark.parametrize(("family", "pooling"), CASES)
def test_what_runs_after_the_blocks_is_the_final_group(network_of, family, pooling):
    stack = network_of(family, pooling).stack
    final = [name for group in stack.groups if group.name == "final" for name in group.parameters]
    expected = FINAL.get(family) or ("pooler" if family in POOLERS and pooling == "native" else None)
    assert bool(final) is (expected is not None)
    assert all(f".{expected}." in name for name in final)
    assert all(stack.depth_of(name) == len(stack.blocks) + 1 for name in final)


def test_t5_runs_its_encoder_before_its_decoder(network_of):
    order = [group.modules[0] for group in network_of("t5", "native").stack.blocks]
    assert [name.split(".")[2] for name in order] == ["encoder"] * 3 + ["decoder"] * 3


def test_relative_embeddings_lie_with_the_embeddings(network_of):
    stack = network_of("deberta-v2", "native").stack
    relative = [name for group in stack.groups for name in group.parameters if "rel_embeddings" in name]
    assert relative
    assert {stack.depth_of(name) for name in relative} == {0}


@pytest.mark.parametrize("family", FAMILIES)
def test_linear_names_are_the_linear_layers_of_the_blocks(network_of, family):
    network = network_of(family, "native")
    names = linear_names(network)
    blocks = tuple(group.modules[0] + "." for group in network.stack.blocks)
    matrices = {
        name.removesuffix(".weight")
        for name, parameter in network.named_parameters()
        if parameter.ndim == 2 and name.startswith(blocks) and "relative_attention_bias" not in name
    }
    assert set(names) == matrices
    for name in names:
        inputs, outputs = linear_shape(network.get_submodule(name))
        assert network.get_submodule(name)(torch.zeros(1, 2, inputs)).shape == (1, 2, outputs)


def test_gpt2s_transposed_layers_are_among_them(network_of):
    network = network_of("gpt2", "native")
    kinds = {type(network.get_submodule(name)).__name__ for name in linear_names(network)}
    assert kinds == {"Conv1D"}


def test_a_tensor_that_a_method_adds_takes_the_depth_of_its_place(network_of):
    stack = network_of("bert", "native").stack
    assert stack.depth_of("inner.bert.encoder.layer.1.attention.self.query.lora_A") == 2


def test_a_network_without_blocks_is_refused():
    network = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    with pytest.raises(UserError, match="no stack of layers"):
        find_stack(network, lambda: network(torch.zeros(1, 2)), ())


def test_finding_the_stack_leaves_modes_hooks_and_random_state_alone(make):
    network = make("bert").train()
    network.inner.bert.embeddings.eval()
    state = torch.get_rng_state()
    network.stack  # noqa: B018
    assert torch.equal(state, torch.get_rng_state())
    assert network.training
    assert not network.inner.bert.embeddings.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
