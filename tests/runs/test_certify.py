"""Certification: a fresh process agrees with what was trained, and disagrees as soon as one saved weight is another."""

from __future__ import annotations

import os

import pytest
import torch

from tests.runs.conftest import TEXTS
from tunewright.artifacts import certificate as room
from tunewright.artifacts.certificate import certify, compare, write_probe
from tunewright.artifacts.model_folder import METADATA
from tunewright.core.files import hash_file, read_json, read_tensors, write_json, write_tensors
from tunewright.tasks.classification import task as classification

# peft asks transformers for it by a name that transformers is about to change
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

TRANSFORMERS, PEFT = "transformers AutoModelForSequenceClassification", "peft PeftModel"


def alter(model, file, by=1.0, place=""):
    """One weight is another, and the hash is mended, so that nothing but the prediction can tell."""
    tensors = read_tensors(model / file)
    name = next(name for name in tensors if place in name)
    tensors[name].view(-1)[0] += by
    write_tensors(model / file, tensors, {"format": "pt"})
    metadata = read_json(model / METADATA)
    metadata["sha256"][file] = hash_file(model / file)
    write_json(model / METADATA, metadata)


@pytest.fixture
def probed(save):
    def build(*arguments, texts=TEXTS, **settings):
        saved = save(*arguments, **settings)
        write_probe(saved.folder, saved.network, classification, None, texts, 32)
        return saved

    return build


def test_a_fresh_process_agrees_and_one_altered_weight_is_noticed(probed, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("no network is needed"))
    saved = probed("bert", "mean")
    proof = certify(saved.folder)
    assert proof["equal"] is True
    assert proof["with"] == ["tunewright", TRANSFORMERS]
    assert 0 <= proof["largest_difference"] <= proof["tolerance"] == 1e-5
    assert proof["rows"] == len(TEXTS)
    alter(saved.model, "model.safetensors", place="layer.0.output.dense.bias")
    altered = certify(saved.folder)
    assert altered["equal"] is False
    assert altered["largest_difference"] > 1e-3


def test_a_process_that_fails_is_a_verdict_too(probed):
    saved = probed()
    (saved.model / "tokenizer.json").unlink()
    proof = certify(saved.folder)
    assert proof["equal"] is False
    assert proof["largest_difference"] is None
    assert "tokenizer.json" in proof["error"]


CASES = [
    ("roberta", "native", "full", TRANSFORMERS),
    ("roberta", "mean", "full", TRANSFORMERS),
    ("t5", "native", "full", TRANSFORMERS),
    ("gpt2", "native", "full", TRANSFORMERS),
    ("distilbert", "mean", "full", None),
    ("t5", "mean", "full", None),
    ("bert", "native", "lora", PEFT),
    ("bert", "mean", "lora", PEFT),
    ("t5", "mean", "lora", PEFT),
    ("bert", "native", "prefix", PEFT),
    ("bert", "mean", "prompt", PEFT),
    ("qwen3", "native", "prompt", PEFT),
    ("gpt2", "mean", "ia3", PEFT),
    ("bert", "native", "bottleneck", None),
]


@pytest.mark.parametrize(("family", "pooling", "method", "other"), CASES)
def test_everything_that_promises_to_open_the_model_is_compared(probed, family, pooling, method, other):
    saved = probed(family, pooling, method)
    proof = compare(saved.folder)
    assert proof["equal"] is True, proof
    assert proof["with"] == ["tunewright", *([other] if other else [])]
    own_head = other != TRANSFORMERS and pooling == "mean"
    file = "head.safetensors" if own_head else "model.safetensors" if method == "full" else "adapter_model.safetensors"
    # roberta's first bias belongs to the block that only transformers reads; qwen3's head has none
    alter(saved.model, file, place={"roberta": "layer.0.output.dense.bias", "qwen3": "score"}.get(family, "bias"))
    altered = compare(saved.folder)
    assert altered["equal"] is False
    assert all(value > 1e-5 for value in altered["differences"].values()), altered


def test_the_block_that_only_transformers_reads_is_compared_too(probed):
    saved = probed("bert", "mean")
    alter(saved.model, "model.safetensors", place="layer.3.attention.output.LayerNorm.bias")
    proof = compare(saved.folder)
    assert proof["differences"]["tunewright"] == 0
    assert proof["differences"][TRANSFORMERS] > 1e-5
    assert proof["equal"] is False


def test_pairs_of_texts(probed):
    pairs = [("i love the film", "no"), ("the parcel was late", "my card is lost")]
    for pooling, method, other in (("native", "full", [TRANSFORMERS]), ("native", "prompt", [PEFT]), ("mean", "prompt", [])):
        proof = compare(probed("bert", pooling, method, texts=pairs).folder)
        assert proof["equal"] is True, proof
        assert proof["with"] == ["tunewright", *other]


def test_another_tokenizer_is_noticed(probed):
    saved = probed()
    words = (saved.model / "tokenizer.json").read_text()
    (saved.model / "tokenizer.json").write_text(words.replace('"love": ', '"hate?": ', 1))
    metadata = read_json(saved.model / METADATA)
    metadata["sha256"]["tokenizer.json"] = hash_file(saved.model / "tokenizer.json")
    write_json(saved.model / METADATA, metadata)
    with pytest.raises(room.UserError, match="makes other tokens"):
        compare(saved.folder)


def test_the_probe_is_small_and_whole(save):
    saved = save()
    write_probe(saved.folder, saved.network, classification, None, TEXTS * 30, 32)
    probe = read_json(saved.folder / "probe.json")
    assert len(probe["texts"]) == len(probe["input_ids"]) == probe["rows"] == 32
    with torch.no_grad():
        saved.network.last_linear.bias.fill_(float("nan"))
    write_probe(saved.folder, saved.network, classification, None, TEXTS, 32)
    assert read_tensors(saved.folder / "probe.safetensors")["output"].isnan().all()
    proof = compare(saved.folder)
    assert proof["equal"] is False
    assert proof["largest_difference"] is None


def test_the_fresh_process_gets_our_threads_and_no_network(monkeypatch, tmp_path):
    seen = {}

    def run(command, *, env, **_):
        seen.update(command=command, env=env)
        raise room.subprocess.TimeoutExpired(command, 1)

    monkeypatch.setattr(room.subprocess, "run", run)
    proof = certify(tmp_path)
    assert proof["equal"] is False
    assert "took more than" in proof["error"]
    assert seen["env"]["HF_HUB_OFFLINE"] == "1"
    assert seen["env"]["OMP_NUM_THREADS"] == str(torch.get_num_threads())
    assert seen["env"]["PATH"] == os.environ["PATH"]
