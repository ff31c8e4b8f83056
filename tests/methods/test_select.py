"""Finding layers: by pattern, by number, by the part they play."""

from __future__ import annotations

import pytest

from tunewright.core.errors import UserError
from tunewright.methods._select import matches, numbered_blocks, roles, select
from tunewright.models.norm import is_norm
from tunewright.models.tiny import FAMILIES

ROLES = {  # key and value, attention output, feed-forward input, feed-forward output; last parts of the names
    "bert": ("key value", "output.dense", "intermediate.dense", "output.dense"),
    "distilbert": ("k_lin v_lin", "attention.out_lin", "ffn.lin1", "ffn.lin2"),
    "mpnet": ("k v", "attn.o", "intermediate.dense", "output.dense"),
    "deberta-v2": ("key_proj value_proj", "output.dense", "intermediate.dense", "output.dense"),
    "modernbert": ("Wqkv", "attn.Wo", "mlp.Wi", "mlp.Wo"),
    "albert": ("key value", "attention.dense", "0.ffn", "0.ffn_output"),
    "gpt2": ("c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"),
    "llama": ("k_proj v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj"),
    "t5": ("k v", "SelfAttention.o", "DenseReluDense.wi", "DenseReluDense.wo"),
}
SAME = {"roberta": "bert", "electra": "bert", "qwen2": "llama", "qwen3": "llama", "gemma": "llama", "gemma2": "llama"}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_parts_of_a_block_are_found_in_every_family(make, family):
    network = make(family)
    keys, attention, reads, writes = ROLES[SAME.get(family, family)]
    found = roles(network, network.stack.blocks[0])
    last = lambda name: ".".join(name.split(".")[-2:])  # noqa: E731
    assert " ".join(name.rsplit(".", 1)[-1] for name in found.key_value) == keys
    assert [last(name) for name in found.attention_output] == [attention]
    assert (last(found.feed_forward_input), last(found.feed_forward_output)) == (reads, writes)


def test_a_decoder_block_with_two_attentions_has_two_outputs(make):
    network = make("t5")
    found = roles(network, network.stack.blocks[-1])
    assert [name.split(".")[-2] for name in found.attention_output] == ["SelfAttention", "EncDecAttention"]
    assert len(found.key_value) == 4


@pytest.mark.parametrize("family", FAMILIES)
def test_norms_are_known_by_type(make, family):
    network = make(family)
    by_type = {name for name, module in network.named_modules() if is_norm(module)}
    weighted = [name for name, module in network.named_modules() if next(module.parameters(), None) is not None]
    by_name = {name for name in weighted if "norm" in name.lower().rsplit(".", 1)[-1] or ".ln_" in name}
    assert by_name <= by_type
    assert by_type


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("query", True),
        ("self.query", True),
        ("uery", False),
        ("*.0.*", True),
        ("*.1.*", False),
        ("a.0.self.query", True),
        ("0.*.query", True),
    ],
)
def test_a_pattern_means_a_name_or_its_end(pattern, expected):
    assert matches("a.0.self.query", pattern) is expected


def test_select_keeps_the_names_order():
    assert select(("a.x", "a.y", "b.x"), ("b.x", "x")) == ("a.x", "b.x")


def test_the_error_names_the_nearest_layer_and_shows_the_others():
    with pytest.raises(UserError) as caught:
        select(("b.0.q_proj", "b.0.v_proj", "b.0.down_proj"), ("down_prj",))
    assert caught.value.nearest in ("down_proj", "0.down_proj")
    assert "q_proj, v_proj, down_proj" in str(caught.value)


def test_blocks_are_numbered_from_below_and_from_above(make):
    network = make()
    assert [block.name for block in numbered_blocks(network, (-1, 0))] == ["block 0", "block 2"]
