"""Rows of several kinds: columns told apart, towers side by side in the stack, what is joined, the saved folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from tunewright.artifacts.model_folder import load_model
from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets.prepare import prepare
from tunewright.models import mixed_loading
from tunewright.models.form import Form
from tunewright.models.network import Network
from tunewright.models.tiny_audio import tiny_audio_model
from tunewright.models.tiny_images import tiny_image_model
from tunewright.pipeline.planning import check
from tunewright.pipeline.workflow import fit, make_recipe
from tunewright.tasks.classification import task as classification

INPUTS = ["photo", "note", "clip", "price", "town"]
FORM = Form("mixed", "MixedNetwork")


def rows(count: int = 40) -> list[dict[str, Any]]:
    """The label is told by picture and sound alone where the text and the numbers say nothing, and by all of them together."""
    generator = np.random.default_rng(0)
    times = np.arange(4000) / 16000
    made = []
    for number in range(count):
        label = number % 2
        picture = generator.integers(0, 120, (32, 32, 3), dtype=np.uint8)
        picture[..., 0] += np.uint8(100 * label)
        made.append(
            {
                "photo": picture,
                "note": f"{('sad story', 'happy story')[label]} number {number % 7} of the book",
                "clip": {"array": np.sin(2 * np.pi * (300 + 500 * label) * times).astype(np.float32), "sampling_rate": 16000},
                "price": float(generator.normal() + 2 * label) if number % 5 else None,
                "town": "ab"[number % 2],
                "label": ["no", "yes"][label],
            }
        )
    return made


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> str:
    folder = tmp_path_factory.mktemp("towers")
    image = tiny_image_model("resnet", folder / "resnet")
    audio = tiny_audio_model("wav2vec2", folder / "wav2vec2")
    return f"image={image},text={tiny_bert},audio={audio}"


def settings(**more: Any) -> dict[str, Any]:
    base = {
        "data": {"input": INPUTS, "target": ["label"], "near_duplicates": "ignore"},
        "training": {"max_steps": 3, "batch_size": 8, "threads": 1, "precision": "float32"},
        "evaluation": {"resamples": 100},
    }
    return {
        key: {**base.get(key, {}), **more.get(key, {})} if isinstance(base.get(key), dict) else more[key]
        for key in {**base, **more}
    }


def network_of(source: str, joined: str = "concatenation") -> tuple[Network, Any]:
    prepared = prepare(train=rows(), text=INPUTS, target="label")
    processor = mixed_loading.learn(prepared.schema.text, prepared.train)  # type: ignore[arg-type]
    return mixed_loading.load(f"{source},joined={joined}", processor, prepared.labels, form=FORM), prepared


def test_columns_are_told_apart() -> None:
    named = prepare(train=rows(), text=INPUTS, target="label")
    assert named.schema.kind == "mixed"
    assert named.schema.kinds == ("image", "text", "audio", "table", "table")
    every = prepare(train=rows(), kind="mixed", target="label")
    assert every.schema.text == tuple(INPUTS)
    assert prepare(train=rows(), text=["note", "price"], target="label").schema.kind == "mixed"
    assert prepare(train=rows(), text="photo", target="label").schema.kind == "image"
    pairs = [{"a": f"one text of words {n}", "b": "short", "label": "xy"[n % 2]} for n in range(40)]
    assert prepare(train=pairs, text=["a", "b"], target="label").schema.kind == "text"


def test_two_images_are_refused_and_a_missing_model_is_named(source: str) -> None:
    twice = [{**one, "other": one["photo"]} for one in rows()]
    with pytest.raises(UserError, match="2 image columns"):
        prepare(train=twice, text=["photo", "other", "note"], target="label")
    prepared = prepare(train=rows(), text=INPUTS, target="label")
    processor = mixed_loading.learn(prepared.schema.text, prepared.train)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no model is named for the image"):
        mixed_loading.load(mixed_loading.SCRATCH, processor, prepared.labels, form=FORM)
    with pytest.raises(UserError, match="kind"):
        mixed_loading.load("imge=x", processor, prepared.labels, form=FORM)
    with pytest.raises(UserError, match="for each kind"):
        mixed_loading.load("all-MiniLM-L6-v2", processor, prepared.labels, form=FORM)
    with pytest.raises(UserError, match="no input column"):
        only = prepare(train=rows(), text=["note", "price"], target="label")
        mixed_loading.load(source, mixed_loading.learn(only.schema.text, only.train), only.labels, form=FORM)  # type: ignore[arg-type]


def test_what_is_joined_is_each_towers_own_answer(source: str) -> None:
    network, prepared = network_of(source)
    examples = classification.encode(network, prepared.test.inputs, None, None, 32)
    inputs = examples.encoded.collate(np.arange(3))
    with torch.inference_mode():
        joined = network.inner(**inputs).last_hidden_state[:, 0]
        text = network.inner.towers["text"](
            **{name[5:]: value for name, value in inputs.items() if name.startswith("text.")}
        ).last_hidden_state
        mask = inputs["text.attention_mask"][..., None]
        mean = (text * mask).sum(1) / mask.sum(1)
        maps = network.inner.towers["image"](pixel_values=inputs["image.pixel_values"]).last_hidden_state
    widths = network.inner.config.widths
    assert network.inner.config.kinds == ("text", "image", "audio", "table")
    assert joined.shape == (3, sum(widths))
    torch.testing.assert_close(joined[:, : widths[0]], functional.layer_norm(mean, mean.shape[-1:]), rtol=1e-4, atol=1e-4)
    pooled = maps.mean((2, 3))
    expected = functional.layer_norm(pooled, pooled.shape[-1:])
    torch.testing.assert_close(joined[:, widths[0] : sum(widths[:2])], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("joined", ["concatenation", "attention"])
def test_neighbors_in_a_batch_change_nothing(source: str, joined: str) -> None:
    network, prepared = network_of(source, joined)
    examples = classification.encode(network, prepared.test.inputs, None, None, 32)
    with torch.inference_mode():
        whole = network(examples.encoded.collate(np.arange(4)))
        alone = torch.cat([network(examples.encoded.collate(np.array([row]))) for row in range(4)])
    torch.testing.assert_close(whole, alone, rtol=1e-4, atol=1e-4)
    assert whole.shape == (4, 2)


@pytest.mark.parametrize("joined", ["concatenation", "attention"])
def test_the_stack_holds_every_tower_by_turns(source: str, joined: str) -> None:
    network, _ = network_of(source, joined)
    blocks = [group.modules[0] for group in network.stack.blocks]
    heights: dict[str, list[int]] = {}
    for place, name in enumerate(blocks):
        heights.setdefault(name.split(".")[2], []).append(place)
    assert set(heights) == {"text", "image", "audio", "table"}
    assert {kind: [int(name.rsplit(".", 1)[1]) for name in blocks if f".{kind}." in name] for kind in heights} == {
        kind: list(range(len(places))) for kind, places in heights.items()
    }
    assert all(places[0] < len(blocks) / 2 and places[-1] >= len(blocks) - 4 for places in heights.values())
    held = [name for group in network.stack.groups for name in group.parameters]
    assert sorted(held) == sorted(name for name, _ in network.named_parameters())
    assert set(network.stack.head.parameters) == set(network.head_names)
    assert not any("joining" in name for group in network.stack.groups[:-1] for name in group.parameters)


@pytest.mark.parametrize(
    ("joined", "strategy"),
    [
        ("concatenation", "full"),
        ("concatenation", "lora"),
        ("concatenation", "feature-extraction"),
        ("attention", "gradual-unfreezing"),
    ],
)
def test_a_run_is_saved_tower_by_tower_and_certified(source: str, joined: str, strategy: str, tmp_path: Path) -> None:
    run = fit(rows(), model=f"{source},joined={joined}", strategy=strategy, out=tmp_path / "run", **settings())
    assert run.manifest["certified"]["equal"], run.manifest["certified"]
    assert run.manifest["certified"]["with"] == ["tunewright"]
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    for kind in ("text", "image", "audio"):
        theirs = AutoModel.from_pretrained(str(run.folder / "model" / kind))
        ours = run.model.network.inner.towers[kind]
        for name, parameter in ours.named_parameters():
            torch.testing.assert_close(theirs.get_parameter(name), parameter)
    AutoTokenizer.from_pretrained(str(run.folder / "model" / "text"))
    AutoImageProcessor.from_pretrained(str(run.folder / "model" / "image"))
    found = run.predict(rows(6))
    assert {one["predicted"] for one in found} <= {"no", "yes"}
    assert len(run.evaluate(rows(8))) >= 2
    scores = {(one["of"], one["name"]): one["value"] for one in run.all_scores()}
    assert scores["frozen", "accuracy"] > 0.8


def test_learning_uses_every_kind(source: str, tmp_path: Path) -> None:
    run = fit(rows(80), model=source, strategy="full", out=tmp_path / "run", **settings(training={"max_steps": 20}))
    assert run.scores[0].value == 1.0
    network = run.model.network
    started = mixed_loading.load(
        source,
        mixed_loading.Processor(network.processor.names, network.processor.kinds, network.processor.own),
        Labels("classification", ("no", "yes")),
        form=FORM,
    )
    for kind in ("text", "image", "audio"):
        before = dict(started.inner.towers[kind].named_parameters())
        moved = [name for name, value in network.inner.towers[kind].named_parameters() if not torch.equal(value, before[name])]
        assert len(moved) > len(before) / 2, kind


def test_damaged_folders_are_refused(source: str, tmp_path: Path) -> None:
    run = fit(rows(), model=source, out=tmp_path / "run", **settings(evaluation={"certify": False, "baselines": ()}))
    (run.folder / "model" / "text" / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"text/model\.safetensors"):
        load_model(run.folder / "model")


def test_what_cannot_be_folded_is_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="feed-forward"):
        fit(rows(), model=source, strategy="adapter", out=tmp_path / "run", **settings())
    with pytest.raises(UserError, match="image_size"):
        fit(rows(), model=source, out=tmp_path / "other", **settings(data={"image_size": 64}))


def test_a_check_looks_for_every_model(source: str) -> None:
    from tunewright.pipeline.steps import InMemoryData

    given = InMemoryData(train=rows())
    data = {"input": INPUTS, "target": ["label"]}
    assert check(make_recipe(model=source, data=data), given).prepared.schema.kind == "mixed"
    with pytest.raises(UserError, match="nowhere"):
        check(make_recipe(model="image=nowhere,text=all-MiniLM-L6-v2", data=data), given)
