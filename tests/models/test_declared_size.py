"""Sizes of published models are taken as they are; what the weights or the memory do not hold is refused before it is built."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from tests.models.conftest import LABELS
from tunewright.core.errors import UserError
from tunewright.core.files import read_json, write_json
from tunewright.models import declared_size
from tunewright.models.config import read_config
from tunewright.models.declared_size import refuse_size, without_values
from tunewright.models.folder_checks import declared_tensors
from tunewright.models.loading import load_network
from tunewright.models.tiny import tiny_model

# As published; what is not named is the default of transformers' configuration, which is that of the family's usual model.
CAUSAL, IMAGE = "AutoModelForCausalLM", "AutoModelForImageClassification"
BLOOM = {"hidden_size": 2048, "n_layer": 24, "n_head": 16, "vocab_size": 250_880}
HGNET = {"stage_in_channels": [48, 128, 512, 1024], "stage_out_channels": [128, 512, 1024, 2048]}
PUBLISHED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gpt2-large": ("gpt2", CAUSAL, {"n_embd": 1280, "n_layer": 36, "n_head": 20}),
    "gpt2-xl": ("gpt2", CAUSAL, {"n_embd": 1600, "n_layer": 48, "n_head": 25}),
    "gpt-j-6b": ("gptj", CAUSAL, {"n_embd": 4096, "n_positions": 2048, "n_layer": 28, "n_head": 16}),
    "codegen-2b": ("codegen", CAUSAL, {"n_embd": 2560, "n_ctx": 2048, "n_positions": 2048, "n_layer": 32, "n_head": 32}),
    "starcoder": ("gpt_bigcode", CAUSAL, {"n_embd": 6144, "n_inner": 24_576, "n_positions": 8192, "n_layer": 40, "n_head": 48}),
    "bloom-1b7": ("bloom", CAUSAL, BLOOM),
    "xlm-17-1280": ("xlm", "AutoModel", {"n_words": 200_000, "emb_dim": 1280, "n_layers": 16, "n_heads": 16}),
    "gemma-3n": ("gemma3n_text", CAUSAL, {}),
    "gemma-4": ("gemma4_text", CAUSAL, {}),
    "canine": ("canine", "AutoModel", {}),
    "hgnet-v2": ("hgnet_v2", IMAGE, HGNET),
    "doge": ("doge", CAUSAL, {"is_moe": True, "num_experts": 16_384, "num_hidden_layers": 2}),
    "d-fine": ("d_fine", "AutoModelForObjectDetection", {}),
}
HEADER = "model.safetensors"


def folder_of(folder: Path, name: str) -> tuple[Path, Any]:
    """The published configuration beside weights of its shapes, whose values take no room on disk; and what builds it."""
    family, auto, settings = PUBLISHED[name]
    config = CONFIG_MAPPING[family](**settings)
    also = {"n_embed": 2048} if family == "bloom" else {}  # its file says it by the older name
    write_json(folder / "config.json", {**json.loads(config.to_json_string()), **also, "model_type": family})
    build = getattr(transformers, auto).from_config
    with without_values():
        network = build(CONFIG_MAPPING[family](**settings))
    header, end = {}, 0
    for tensor, value in network.state_dict().items():
        header[tensor] = {"dtype": "BF16", "shape": list(value.shape), "data_offsets": [end, end := end + 2 * value.numel()]}
    raw = json.dumps(header).encode()
    with (folder / HEADER).open("wb") as file:
        file.write(struct.pack("<Q", len(raw)) + raw)
        file.truncate(8 + len(raw) + end)
    return folder, build


@pytest.fixture
def boundless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declared_size, "memory_at_hand", lambda: None)


@pytest.mark.usefixtures("boundless")
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes_are_taken(name: str, tmp_path: Path) -> None:
    folder, build = folder_of(tmp_path, name)
    config = read_config(folder)
    refuse_size(lambda: build(config), declared_tensors(folder), folder)


@pytest.mark.usefixtures("boundless")
@pytest.mark.parametrize("name", ["gpt2-large", "gpt-j-6b", "bloom-1b7", "gemma-3n"])
def test_the_same_sizes_beside_small_weights_are_refused(name: str, tmp_path: Path) -> None:
    folder, build = folder_of(tmp_path, name)
    raw = json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    (folder / HEADER).write_bytes(struct.pack("<Q", len(raw)) + raw + b"\0" * 16)
    config = read_config(folder)
    with pytest.raises(UserError, match="values, and its weights hold 4"):
        refuse_size(lambda: build(config), declared_tensors(folder), folder)


@pytest.mark.parametrize("width", [1280, 1600])
def test_a_wide_gpt2_is_loaded(width: int, tmp_path: Path) -> None:
    folder = tiny_model("gpt2", tmp_path, layers=1, width=width)
    assert load_network(str(folder), LABELS).inner.config.n_embd == width


COUNTS: dict[str, tuple[str, dict[str, Any]]] = {
    "layers": ("gpt2", {"n_layer": 2**20}),
    "layers beyond any": ("gpt2", {"n_layer": 2**40}),
    "heads": ("gpt2", {"n_head": 10**6}),
    "labels": ("gpt2", {"num_labels": 10**8}),
    "decoder layers": ("t5", {"num_decoder_layers": 5000}),
    "layers of a stage": ("bert", {"layers_per_stage": [2, 5000]}),
    "experts": ("llama", {"num_local_experts": 10**7}),
    "nested": ("llama", {"text_config": {"num_hidden_layers": 10**7}}),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_beyond_the_weights_are_refused_before_anything_is_built(name: str, tmp_path: Path) -> None:
    family, changes = COUNTS[name]
    folder = tiny_model(family, tmp_path, layers=1)
    write_json(folder / "config.json", {**read_json(folder / "config.json"), **changes})
    with pytest.raises(UserError, match=r"config.json says \w+ [\d,]+"):
        read_config(folder)


SIZES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("gpt2", {"n_embd": 2**20}),
    ("gpt2", {"n_inner": 10**8}),
    ("gpt2", {"n_positions": 10**9}),
    ("gpt2", {"vocab_size": 2**30}),
    ("bert", {"hidden_size": 10**6}),
)


@pytest.mark.parametrize(("family", "changes"), SIZES)
def test_sizes_beyond_the_weights_are_refused_before_memory_is_taken(
    family: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    folder = tiny_model(family, tmp_path, layers=1)
    write_json(folder / "config.json", {**read_json(folder / "config.json"), **changes})
    with pytest.raises(UserError, match="values, and its weights hold"):
        load_network(str(folder), LABELS)


def test_as_many_labels_as_the_weights_have_are_taken(tmp_path: Path) -> None:
    folder = tiny_model("bert", tmp_path, layers=1, width=1100)
    write_json(folder / "config.json", {**read_json(folder / "config.json"), "num_labels": 1100})
    assert read_config(folder).num_labels == 1100


def test_building_stops_at_more_parts_than_the_weights_explain(tmp_path: Path) -> None:
    folder = tiny_model("bert", tmp_path, layers=1)
    write_json(folder / "config.json", {**read_json(folder / "config.json"), "num_hidden_layers": 1024})
    with pytest.raises(UserError, match=r"describes more than 16,384 parts, and its weights have \d+ tensors"):
        load_network(str(folder), LABELS)
    write_json(folder / "config.json", {**read_json(folder / "config.json"), "num_hidden_layers": 1})
    assert len(load_network(str(folder), LABELS).stack.blocks) == 1  # nothing goes on counting


def test_a_model_beyond_the_memory_at_hand_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_model("bert", tmp_path, layers=1)
    values = sum(one.count for one in declared_tensors(folder).values())
    monkeypatch.setattr(declared_size, "memory_at_hand", lambda: 4 * values // 2)
    with pytest.raises(UserError, match="of memory are at hand"):
        load_network(str(folder), LABELS)
    monkeypatch.setattr(declared_size, "memory_at_hand", lambda: 8 * values)
    load_network(str(folder), LABELS)
