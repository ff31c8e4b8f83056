"""Every setting of every method changes something that can be seen."""

from __future__ import annotations

import pytest
import torch

from tunewright.core.errors import UserError
from tunewright.core.registry import list_parts, load_part

CHANGES = {
    "last_layers": [{"k": 1}],
    "bottleneck": [{"placement": "houlsby"}, {"size": 3}, {"activation": "gelu"}, {"scale": 4.0}, {"layers": (0,)}],
    "ia3": [{"targets": ("query",)}, {"feed_forward": ("intermediate.dense",)}, {"layers": (1,)}],
    "prefix": [{"tokens": 3}, {"words": "good old card"}],
    "prompt": [{"tokens": 3}, {"words": "good old card"}],
    "peft": [{"method": "loha"}],
    **{
        method: [
            {"rank": 2},
            {"alpha": 5},
            {"dropout": 0.5},
            {"rank_stabilised": True},
            {"plus_ratio": 16},
            {"targets": ("query", "value")},
            {"layers": (-1,)},
            {"rank_pattern": {"key": 2}},
            {"alpha_pattern": {"key": 2}},
        ]
        for method in ("lora", "dora")
    },
}


def seen(make, logits, shake, method, settings):
    """What a run can notice: what trains, its rates, what is saved, and the logits of shaken values in training."""
    torch.manual_seed(0)
    network, part = make(), load_part("methods", method)
    applied = part.apply(network, part.Settings(**settings))
    at_start = logits(network)
    shake(network, applied.trainable)
    shapes = {name: tuple(network.get_parameter(name).shape) for name in applied.trainable}
    config = {key: value for key, value in (applied.adapter_config or {}).items() if key != "target_modules"}
    return shapes, dict(applied.rate_factors), config, at_start.tolist(), logits(network).tolist()


@pytest.mark.parametrize("method", [part.name for part in list_parts("methods")])
def test_every_setting_has_an_effect(make, logits, shake, method):
    fields = set(load_part("methods", method).Settings.model_fields)
    changes = CHANGES.get(method, [])
    assert {key for change in changes for key in change} == fields
    plain = seen(make, logits, shake, method, {})
    assert seen(make, logits, shake, method, {}) == plain
    for change in changes:
        assert seen(make, logits, shake, method, change) != plain, change


def test_patterns_set_rank_and_alpha_of_their_layers_alone(make):
    network, part = make(), load_part("methods", "lora")
    settings = part.Settings(rank=4, alpha=8, rank_pattern={"0.*.query": 2, "query": 3}, alpha_pattern={"2.*": 1})
    applied = part.apply(network, settings)
    ranks = [
        network.get_submodule(f"inner.bert.encoder.layer.{block}.attention.self.query").lora_A.shape[0] for block in range(3)
    ]
    assert ranks == [2, 3, 3]
    scalings = [network.get_submodule(f"inner.bert.encoder.layer.{block}.attention.self.key").scaling for block in range(3)]
    assert scalings == [2.0, 2.0, 0.25]
    assert (applied.adapter_config["r"], applied.adapter_config["lora_alpha"]) == (4, 8)


def test_lora_plus_raises_the_rate_of_b_alone(make):
    network, part = make(), load_part("methods", "lora")
    applied = part.apply(network, part.Settings(plus_ratio=16))
    assert set(applied.rate_factors) == {name for name in applied.trainable if name.endswith("lora_B")}
    assert set(applied.rate_factors.values()) == {16}


@pytest.mark.parametrize(("k", "lowest"), [(1, 3), (3, 1)])
def test_last_layers_opens_exactly_what_lies_above(make, k, lowest):
    network, part = make(), load_part("methods", "last_layers")
    applied = part.apply(network, part.Settings(k=k))
    above = {name for group in network.stack.groups if group.depth >= lowest for name in group.parameters}
    assert set(applied.trainable) == above - set(network.head_names)
    assert any("pooler" in name for name in applied.trainable)


def test_more_layers_than_there_are_is_an_error(make):
    part = load_part("methods", "last_layers")
    with pytest.raises(UserError, match="from 1 to 3"):
        part.apply(make(), part.Settings(k=4))
    with pytest.raises(UserError, match="runs 3 times"):
        part.apply(make("albert"), part.Settings(k=2))


@pytest.mark.parametrize("family", ["distilbert", "mpnet", "deberta-v2", "modernbert", "albert", "t5"])
def test_a_prefix_is_refused_where_attention_takes_none(make, family):
    part = load_part("methods", "prefix")
    with pytest.raises(UserError, match=r"takes no keys and values|encoder-decoder"):
        part.apply(make(family), part.Settings())


def test_a_prompt_is_refused_by_an_encoder_decoder_and_taken_by_its_encoder(make, logits):
    part = load_part("methods", "prompt")
    with pytest.raises(UserError, match="encoder-decoder"):
        part.apply(make("t5"), part.Settings())
    network = make("t5", "mean")
    plain = logits(network)
    part.apply(network, part.Settings())
    assert not torch.allclose(logits(network), plain, atol=1e-3)


@pytest.mark.parametrize("method", ["prefix", "prompt"])
def test_virtual_tokens_need_room_among_learned_positions(make, batch_of, method):
    part = load_part("methods", method)
    with pytest.raises(UserError, match=r"leave no room for text\. Expected fewer than 64"):
        part.apply(make(), part.Settings(tokens=70))
    network = make()
    part.apply(network, part.Settings(tokens=60))
    with pytest.raises(UserError, match="only 4 fit beside"):
        network(batch_of(network))


def test_a_prompt_starts_as_the_words_it_is_given(make):
    network, part = make(), load_part("methods", "prompt")
    table = network.inner.get_input_embeddings().weight.detach().clone()
    applied = part.apply(network, part.Settings(tokens=5, words="good bad"))
    ids = network.tokenizer("good bad", add_special_tokens=False)["input_ids"]
    assert torch.equal(network.get_parameter(applied.trainable[0]), table[(ids * 3)[:5]])
    with pytest.raises(UserError, match="hold no token"):
        part.apply(make(), part.Settings(words=" "))


def test_without_words_a_prompt_starts_as_the_label_names(make):
    network, part = make(), load_part("methods", "prompt")
    table = network.inner.get_input_embeddings().weight.detach().clone()
    applied = part.apply(network, part.Settings(tokens=5))
    ids = network.tokenizer("good, bad, late", add_special_tokens=False)["input_ids"]
    assert torch.equal(network.get_parameter(applied.trainable[0]), table[ids])


@pytest.mark.parametrize("method", ["lora", "ia3"])
def test_one_pattern_needs_no_list(make, method):
    part = load_part("methods", method)
    names = [part.apply(make(), part.Settings(targets=targets)).trainable for targets in ("query", ("query",))]
    assert names[0] == names[1] and any("query" in name for name in names[0])


@pytest.mark.parametrize(
    "wrong", [{"rank_pattern": {"query": 0}}, {"alpha_pattern": {"query": -1}}, {"rank": 0}, {"dropout": 1.0}]
)
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="Input should be"):
        load_part("methods", "lora").Settings(**wrong)
