"""What a Network promises: padding does not matter, features times the last layer are the logits, pooling by the mask."""

from __future__ import annotations

import pytest
import torch

from tests.models.conftest import LABELS, TEXTS
from tunewright.core.types import Labels
from tunewright.models.pooling import first_token, last_token, pool
from tunewright.models.tiny import FAMILIES

CASES = [(family, pooling) for family in FAMILIES for pooling in ("native", "mean")]


@pytest.mark.parametrize(("family", "pooling"), [*CASES, ("bert", "cls"), ("qwen3", "last")])
def test_padding_does_not_change_a_row(make, logits, family, pooling):
    network = make(family, pooling)
    together = logits(network)
    alone = torch.cat([logits(network, (text,)) for text in TEXTS])
    assert torch.allclose(together, alone, atol=1e-5)
    assert (together[0] - together[2]).abs().max() > 1e-3  # else nothing was compared


@pytest.mark.parametrize(("family", "pooling"), CASES)
def test_features_times_the_last_layer_are_the_logits(make, batch_of, logits, family, pooling):
    network = make(family, pooling)
    with torch.no_grad():
        features = network.features(batch_of(network))
        made = network.last_linear(features)
    assert features.shape == (len(TEXTS), network.last_linear.in_features)
    assert torch.allclose(made, logits(network), atol=1e-5)


def test_a_decoder_padded_with_its_end_token_reads_the_token_that_transformers_reads(make, batch_of, logits):
    network = make("gpt2")
    network.tokenizer.pad_token = network.tokenizer.eos_token
    network.inner.config.pad_token_id = network.tokenizer.eos_token_id
    with torch.no_grad():
        made = network.last_linear(network.features(batch_of(network)))
    assert torch.allclose(made, logits(network), atol=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_pooling_follows_the_mask_on_either_side(side):
    tokens, mask = torch.randn(2, 5, 3), torch.ones(2, 5, dtype=torch.int64)
    hidden = slice(0, 2) if side == "left" else slice(3, 5)
    mask[0, hidden] = 0
    real = tokens[0, 2:] if side == "left" else tokens[0, :3]
    assert torch.allclose(pool(tokens, mask, "mean")[0], real.mean(0))
    assert torch.equal(pool(tokens, mask, "cls")[0], real[0])
    assert torch.equal(pool(tokens, mask, "last")[0], real[-1])
    assert first_token(mask).tolist() == [2 if side == "left" else 0, 0]
    assert last_token(mask).tolist() == [4 if side == "left" else 2, 4]


def test_the_heads_start_depends_on_the_seed_alone(make):
    torch.manual_seed(1)
    first = make(seed=5).last_linear.weight
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second, other = make(seed=5).last_linear.weight, make(seed=6).last_linear.weight
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("labels", "outputs", "problem"),
    [
        (LABELS, 3, "single_label_classification"),
        (Labels("multi_label", ("a", "b")), 2, "multi_label_classification"),
        (Labels("regression"), 1, "regression"),
    ],
)
@pytest.mark.parametrize("pooling", ["native", "mean"])
def test_the_head_has_the_tasks_outputs_and_the_config_their_names(folder_of, labels, outputs, problem, pooling):
    from tunewright.models.loading import load_network

    network = load_network(str(folder_of("bert")), labels, pooling=pooling)
    assert network.last_linear.out_features == outputs
    assert network.inner.config.problem_type == problem
    assert network.inner.config.id2label == dict(enumerate(labels.names or ("score",)))
    assert not network.training
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_dropout_is_set_everywhere_and_nothing_else(make):
    network = make("bert", dropout=0.37)
    assert {module.p for module in network.modules() if isinstance(module, torch.nn.Dropout)} == {0.37}
