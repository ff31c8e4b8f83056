"""What every method promises, checked for each file of the folder."""

from __future__ import annotations

import copy

import pytest
import torch

from tunewright.core.errors import UserError
from tunewright.core.registry import list_parts, load_part

METHODS = [part.name for part in list_parts("methods")]
MERGEABLE = ["dora", "ia3", "lora", "peft"]
NARROW = {"last_layers": {"k": 1}}  # a third of a three-block network rather than two


def applied_to(network, method, **settings):
    part = load_part("methods", method)
    return part.apply(network, part.Settings(**{**NARROW.get(method, {}), **settings}))


def test_the_twelve_methods_and_the_bridge_are_there():
    expected = "bias_only bottleneck dora frozen full ia3 last_layers lora norm_only peft prefix prompt"
    assert sorted(METHODS) == expected.split()


@pytest.mark.parametrize("pooling", ["native", "mean", "cls"])
@pytest.mark.parametrize("method", METHODS)
def test_outputs_are_unchanged_at_the_start_or_it_says_why_not(make, logits, method, pooling):
    network = make("bert", pooling)
    plain = logits(network)
    applied = applied_to(network, method)
    moved = float((logits(network) - plain).abs().max())
    if applied.identity_at_start is True:
        assert moved < 1e-6
    else:
        assert moved > 1e-4 and len(applied.identity_at_start.split()) > 5


@pytest.mark.parametrize("pooling", ["native", "mean"])
@pytest.mark.parametrize("method", METHODS)
def test_only_the_named_tensors_move(make, what_moves, method, pooling):
    network = make("bert", pooling)
    applied = applied_to(network, method)
    moved = what_moves(network, applied)
    assert set(applied.trainable) <= moved or method in ("full", "last_layers")  # key biases have no gradient in theory


@pytest.mark.parametrize("method", METHODS)
def test_the_loss_falls(make, train, method):
    network = make("bert", "mean")
    applied = applied_to(network, method)
    first, last = train(network, {*applied.trainable, *network.head_names}, count=30)
    assert last < 0.5 * first


@pytest.mark.parametrize("method", [name for name in METHODS if name != "frozen"])
def test_the_loss_falls_without_the_head(make, train, shake, method):
    network = make("bert", "mean")
    shake(network, network.head_names, size=0.5)
    applied = applied_to(network, method)
    first, last = train(network, applied.trainable, count=40)
    assert last < 0.9 * first


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
@pytest.mark.parametrize("method", MERGEABLE)
def test_merging_gives_the_plain_network_back(make, logits, shake, method, family):
    network, plain = make(family), make(family)
    applied = applied_to(network, method)
    shake(network, applied.trainable)
    adapted = logits(network)
    assert (adapted - logits(plain)).abs().max() > 1e-3
    applied.merge()
    assert torch.allclose(logits(network), adapted, atol=1e-5)
    assert [(name, type(m)) for name, m in network.named_modules()] == [(name, type(m)) for name, m in plain.named_modules()]
    assert list(network.state_dict()) == list(plain.state_dict())


def test_only_what_can_be_folded_offers_to_merge(make):
    offering = [method for method in METHODS if applied_to(make(), method).merge is not None]
    assert offering == MERGEABLE


@pytest.mark.parametrize("method", ["lora", "dora", "ia3"])
def test_a_target_that_matches_nothing_is_an_error(make, method):
    with pytest.raises(UserError, match=r"'querry' matches no linear layer.*Did you mean 'query'"):
        applied_to(make(), method, targets=("value", "querry"))


@pytest.mark.parametrize("setting", ["rank_pattern", "alpha_pattern"])
def test_a_pattern_that_matches_no_target_is_an_error(make, setting):
    with pytest.raises(UserError, match="'key' matches no linear layer"):
        applied_to(make(), "lora", targets=("query",), **{setting: {"key": 4}})


@pytest.mark.parametrize("method", ["lora", "dora", "ia3", "bottleneck"])
@pytest.mark.parametrize("layers", [(3,), (-4,), ()])
def test_a_block_that_is_not_there_is_an_error(make, method, layers):
    with pytest.raises(UserError, match="0 to 2"):
        applied_to(make(), method, layers=layers)


@pytest.mark.parametrize("method", METHODS)
def test_a_copied_network_is_on_its_own(make, logits, shake, method):
    network = make("bert", "mean")
    applied = applied_to(network, method)
    before = logits(network)
    twin = copy.deepcopy(network)
    assert torch.equal(logits(twin), before)
    if applied.trainable:
        shake(twin, applied.trainable)
        assert not torch.equal(logits(twin), before)
    assert torch.equal(logits(network), before)


@pytest.mark.parametrize("method", METHODS)
def test_added_parameters_are_float32_and_have_a_depth(make, method):
    network = make()
    plain = {name for name, _ in make().named_parameters()}
    applied = applied_to(network, method)
    for name in set(applied.trainable) - plain:
        assert network.get_parameter(name).dtype == torch.float32
        assert network.stack.depth_of(name) > 0 or method == "prompt"


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_tells_its_unit_or_source(method):
    for name, field in load_part("methods", method).Settings.model_fields.items():
        assert len(field.description.split()) >= 5, name


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_page(method):
    text = load_part("methods", method).__doc__
    assert all(f"\n{section}:" in text for section in ("Source", "When", "When not", "Nearest"))


def test_unused_settings_are_refused():
    with pytest.raises(ValueError, match="Extra inputs"):
        load_part("methods", "lora").Settings(rnk=4)
