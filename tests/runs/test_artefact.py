"""Saved models: reloaded equal here, opened by other libraries as they are, and refused when anything in them changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from tests.runs.conftest import LABELS, TEXTS
from tunewright.artifacts.model_folder import METADATA, load_model
from tunewright.core.errors import UserError
from tunewright.core.files import hash_file, read_json, read_tensors, write_json, write_tensors
from tunewright.core.registry import list_parts
from tunewright.models.loading import load_network
from tunewright.models.tiny import FAMILIES
from tunewright.tasks.classification.task import encode
from tunewright.training.predict import predict_logits

METHODS = [part.name for part in list_parts("methods")]
SHARED_WEIGHTS = {"method": "vera"}  # the bridge's hardest case: weights that all layers share


def predict(network):
    return predict_logits(network, encode(network, TEXTS, None, None, 32))


def change_metadata(model, **changes):
    write_json(model / METADATA, {**read_json(model / METADATA), **changes})


@pytest.mark.parametrize("pooling", ["native", "mean"])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_reloaded_equal(save, method, pooling):
    saved = save(pooling=pooling, method=method, settings=SHARED_WEIGHTS if method == "peft" else {})
    loaded = load_model(saved.model)
    assert (predict(loaded.network) == predict(saved.network)).all()
    assert not loaded.network.training
    assert (loaded.labels, loaded.head, loaded.head_settings) == (LABELS, "classification", {"label_smoothing": 0.1})
    assert (loaded.max_length, loaded.schema["text"], loaded.method) == (32, ["message"], method)
    assert loaded.network.head_names == saved.network.head_names


@pytest.mark.parametrize("pooling", ["native", "mean"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_reloaded_equal_and_says_what_opens_it(save, family, pooling):
    saved = save(family, pooling)
    assert (predict(load_model(saved.model).network) == predict(saved.network)).all()
    written = read_json(saved.model / METADATA)
    as_block = pooling == "mean" and family in ("bert", "roberta")
    assert written["opens_with"] == ("transformers" if pooling == "native" or as_block else "sentence-transformers")
    assert written["appended_layer"] is as_block


def test_a_pooler_that_the_base_lacked_is_part_of_the_saved_head(save, folder_of, tmp_path):
    base = Path(shutil.copytree(folder_of("bert"), tmp_path / "base"))
    tensors = read_tensors(base / "model.safetensors")
    write_tensors(base / "model.safetensors", {name: value for name, value in tensors.items() if "pooler" not in name})
    for method in ("frozen", "lora"):
        saved = save(method=method, base=str(base))
        loaded = load_model(saved.model)
        assert "inner.bert.pooler.dense.weight" in loaded.network.head_names
        assert (predict(loaded.network) == predict(saved.network)).all()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(("family", "pooling"), [("distilbert", "mean"), ("bert", "cls"), ("qwen3", "last")])
def test_what_has_no_class_in_transformers_opens_with_sentence_transformers(save, family, pooling):
    library = pytest.importorskip("sentence_transformers")
    saved = save(family, pooling)
    opened = library.SentenceTransformer(str(saved.model), device="cpu")
    found = opened.encode([text for (text,) in TEXTS], show_progress_bar=False)
    assert torch.allclose(torch.from_numpy(found), torch.from_numpy(predict(saved.network)), atol=1e-4)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_flipped_bit_in_any_file_is_refused_by_name(save, method):
    saved = save("bert", "mean", method)
    files = [path for path in saved.model.rglob("*") if path.is_file() and path.name != METADATA]
    assert {path.name for path in files} >= {"head.safetensors", "tokenizer.json"}
    for path in files:
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(UserError, match=path.name):
            load_model(saved.model)
        path.unlink()
        with pytest.raises(UserError, match=f"lacks its file .*{path.name}"):
            load_model(saved.model)
        path.write_bytes(whole)
    load_model(saved.model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "version"),
        ({"opens_with": "pickle"}, "opens_with"),
        ({"extra": 1}, "extra"),
        ({"pooling": "max"}, "pooling"),
        ({"labels": {"task": "classification", "names": ["a", "a", "b"], "mean": 0.0, "spread": 1.0}}, "not distinct"),
        ({"labels": {"task": "classification", "names": ["a", "b"], "mean": 0.0, "spread": 1.0}}, "lacks 'classifier"),
        ({"labels": {"names": []}}, "cannot be used"),
        ({"head_parameters": ["inner.bert.nothing.weight"]}, "lacks 'bert.nothing"),
        ({"max_length": 0}, "max_length"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(save, changes, message):
    saved = save()
    change_metadata(saved.model, **changes)
    with pytest.raises(UserError, match=message):
        load_model(saved.model)


def test_a_head_that_is_missing_is_refused_even_with_a_right_hash(save):
    for pooling, file, name in (
        ("native", "model.safetensors", "classifier.weight"),
        ("mean", "head.safetensors", "classifier.bias"),
    ):
        saved = save("distilbert", pooling)
        tensors = read_tensors(saved.model / file)
        write_tensors(saved.model / file, {key: value for key, value in tensors.items() if key != name})
        hashes = read_json(saved.model / METADATA)["sha256"]
        change_metadata(saved.model, sha256={**hashes, file: hash_file(saved.model / file)})
        with pytest.raises(UserError, match=name):
            load_model(saved.model)


def test_an_adapter_on_another_base_is_refused(save, folder_of, tmp_path):
    base = Path(shutil.copytree(folder_of("bert"), tmp_path / "base"))
    saved = save(method="lora", base=str(base))
    load_model(saved.model)
    tensors = read_tensors(base / "model.safetensors")
    tensors["embeddings.LayerNorm.bias"][0] += 1
    write_tensors(base / "model.safetensors", tensors)
    with pytest.raises(UserError, match=r"not the one that .* was trained on"):
        load_model(saved.model)
    shutil.rmtree(base)
    with pytest.raises(UserError, match="no model"):
        load_model(saved.model)


def test_an_adapters_base_is_found_from_another_working_directory(save, folder_of, tmp_path, monkeypatch):
    monkeypatch.chdir(folder_of("bert").parent)
    saved = save(method="lora", base="bert")
    monkeypatch.chdir(tmp_path)
    assert (predict(load_model(saved.model).network) == predict(saved.network)).all()


def test_a_saved_model_is_a_base_for_the_next_run(save):
    saved = save("bert", "mean")
    network = load_network(str(saved.model), LABELS)
    assert network.pooling == "mean"
    trained = dict(saved.network.inner.named_parameters())
    assert all(torch.equal(value, trained[name]) for name, value in network.inner.named_parameters())


def test_saving_is_whole_or_not_at_all(save, monkeypatch):
    saved = save()
    before = hash_file(saved.model / "model.safetensors")

    def break_down(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(saved.network.tokenizer.__class__, "save_pretrained", break_down)
    with pytest.raises(OSError, match="no space"):
        save()
    assert hash_file(saved.model / "model.safetensors") == before
    assert [path.name for path in saved.folder.iterdir()] == ["model"]
    load_model(saved.model)


def test_an_older_model_in_the_same_place_is_replaced(save):
    first = save(pooling="native")
    assert not (first.model / "head.safetensors").exists()
    (first.model / "left-over").touch()
    save(pooling="native")
    assert not (first.model / "left-over").exists()
    assert first.model.stat().st_mode & 0o777 == 0o755
