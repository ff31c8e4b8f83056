"""Images and texts in one space: CLIP's and SigLIP's losses, ranks by hand, cut batches, and others open what is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets.prepare import prepare
from tunewright.models.dual_encoder import join, paired
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.models.tiny import tiny_model
from tunewright.models.tiny_dual import tiny_dual_model
from tunewright.models.tiny_images import tiny_image_model
from tunewright.pipeline.workflow import fit
from tunewright.tasks.image_text_contrastive import task as image_text

FORM = Form("captioned", "AutoModel", "pairs")
LABELS = Labels("image_text_contrastive")
NAMES = ("red", "green", "blue")


def rows(count: int = 36, seed: int = 0) -> list[dict[str, Any]]:
    """Pictures of one colour with noise, and the colour's name."""
    generator = np.random.default_rng(seed)
    made = []
    for number in range(count):
        picture = generator.integers(0, 60, (32, 32, 3), dtype=np.uint8)
        picture[..., number % 3] += 150
        made.append({"image": picture, "caption": NAMES[number % 3]})
    return made


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_dual_model("clip", tmp_path_factory.mktemp("models") / "clip")


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_dual_model("siglip", tmp_path_factory.mktemp("models") / "siglip")


def network_of(folder: Path) -> Network:
    return load_network(str(folder), LABELS, form=FORM)


def read(network: Network, count: int, settings: Any = None, **more: Any) -> Any:
    inputs = [(one["image"], f"{one['caption']} {number}") for number, one in enumerate(rows(count))]
    return image_text.encode(network, inputs, object_array([None] * count), settings or image_text.Settings(), 16, **more)


def outputs(network: Network, examples: Any, chosen: list[int]) -> torch.Tensor:
    inputs = examples.encoded.collate(np.array(chosen))
    found: torch.Tensor = network(inputs)
    return found


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_the_loss_is_the_librarys_own(family: str, clip: Path, siglip: Path) -> None:
    network = network_of(clip if family == "clip" else siglip)
    examples = read(network, 6)
    found = outputs(network, examples, list(range(6)))
    ours = image_text.losses(found, torch.from_numpy(examples.targets), LABELS, image_text.Settings(), None)
    theirs = network.inner(**examples.encoded.collate(np.arange(6)), return_loss=True).loss
    torch.testing.assert_close(ours.mean(), theirs, rtol=1e-5, atol=1e-5)
    ours.mean().backward()
    mine = {name: parameter.grad.clone() for name, parameter in network.inner.named_parameters() if parameter.grad is not None}
    network.inner.zero_grad()
    network.inner(**examples.encoded.collate(np.arange(6)), return_loss=True).loss.backward()
    assert "logit_scale" in mine
    for name, parameter in network.inner.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(mine[name], parameter.grad, rtol=1e-4, atol=1e-6)


def test_what_shares_its_text_or_image_is_no_negative() -> None:
    vectors = functional.normalize(torch.randn(4, 2, 8, generator=torch.Generator().manual_seed(0)), dim=-1)
    output = torch.cat([vectors, torch.tensor([2.0, 0.0]).expand(4, 2, 2)], -1)
    alike = torch.tensor([[0, 0], [1, 0], [2, 0], [3, 0]])
    torch.testing.assert_close(image_text.losses(output, alike, LABELS, image_text.Settings(), None), torch.zeros(4))
    pair = torch.tensor([[0, 0], [0, 1], [1, 2], [2, 3]])  # one image twice
    found = image_text.losses(output, pair, LABELS, image_text.Settings(), None)
    scores = np.exp(2.0) * (vectors[:, 0] @ vectors[:, 1].T)
    hidden = scores.clone()
    hidden[0, 1] = hidden[1, 0] = float("-inf")
    target = torch.arange(4)
    expected = [functional.cross_entropy(one, target, reduction="none") for one in (hidden, hidden.T)]
    torch.testing.assert_close(found, (expected[0] + expected[1]) / 2)
    sigmoid = image_text.losses(output, pair, LABELS, image_text.Settings(objective="sigmoid"), None)
    each = -functional.logsigmoid((2 * torch.eye(4) - 1) * scores)
    each[0, 1] = each[1, 0] = 0
    torch.testing.assert_close(sigmoid, each.sum(1))


def test_the_scale_is_held_at_a_hundred() -> None:
    vectors = functional.normalize(torch.randn(3, 2, 8, generator=torch.Generator().manual_seed(0)), dim=-1)
    ids = torch.arange(6).view(3, 2)
    found = [
        image_text.losses(
            torch.cat([vectors, torch.tensor([scale, 0.0]).expand(3, 2, 2)], -1), ids, LABELS, image_text.Settings(), None
        )
        for scale in (float(np.log(100.0)), 9.0)
    ]
    torch.testing.assert_close(*found)


def test_ranks_are_counted_both_ways() -> None:
    angles = np.array([[0.0, 0.1], [0.5, 1.0], [1.1, 1.1], [0.0, 0.6]])
    kept = np.stack([np.cos(angles), np.sin(angles)], -1).astype(np.float32)

    class Pairs:
        ids = np.array([[0, 0], [1, 1], [2, 2], [0, 3]])  # the first image has a second text

    found = image_text.decode(kept, LABELS, Pairs()).values  # type: ignore[arg-type]
    # image 1 at 0.5: texts at 0.1, 1.0 (right), 1.1, 0.6 -> two nearer; text 1 at 1.0: images 0, 0.5 (right), 1.1 -> one nearer;
    # text 3 at 0.6: image 0 (right), 0.5 and 1.1 -> two nearer
    assert found.tolist() == [[1, 1], [3, 2], [1, 1], [1, 3]]


def test_padding_is_one_length_and_siglips_the_models_own(clip: Path, siglip: Path) -> None:
    network = network_of(clip)
    encoded = read(network, 5).encoded
    made = encoded.collate(np.array([3, 1]))
    assert set(made) == {"input_ids", "attention_mask", "pixel_values"}
    assert made["input_ids"].shape[1] == encoded.tokens.shape[1] == encoded.lengths[0] - encoded.images.lengths[0]
    assert encoded.subset(np.array([4, 2])).collate(np.array([1]))["input_ids"].equal(encoded.collate(np.array([2]))["input_ids"])
    unmasked = read(network_of(siglip), 5).encoded.collate(np.arange(2))
    assert set(unmasked) == {"input_ids", "pixel_values"}
    assert unmasked["input_ids"].shape == (2, 16)


def test_an_image_with_several_texts_is_decoded_once(clip: Path) -> None:
    network, one = network_of(clip), rows(2)
    inputs = [(one[0]["image"], "red"), (one[1]["image"], "green"), (one[0]["image"], "a red one")]
    encoded: Any = image_text.encode(network, inputs, object_array([None] * 3), image_text.Settings(), 16).encoded
    assert encoded.images.pixels.shape[0] == 2
    assert encoded.ids[:, 0].tolist() == [0, 1, 0]
    assert encoded.ids[:, 1].tolist() == [0, 1, 2]


def test_the_stack_is_both_towers_by_turns(clip: Path) -> None:
    stack = network_of(clip).stack
    names = [group.modules[0] for group in stack.blocks]
    assert ["vision" in name for name in names] == [True, False, True, False]
    by_name = {name: group.name for group in stack.groups for name in group.parameters}
    assert (
        by_name["inner.logit_scale"]
        == by_name["inner.text_projection.weight"]
        == by_name["inner.visual_projection.weight"]
        == "final"
    )
    embeddings = [name for name, group in by_name.items() if group == "embeddings"]
    assert any("vision" in name for name in embeddings)
    assert any("text" in name for name in embeddings)
    assert len(by_name) == len(list(network_of(clip).parameters()))


def test_columns_are_recognized_and_named() -> None:
    guessed = prepare(train=rows())
    assert (guessed.schema.kind, guessed.schema.task, guessed.schema.text) == (
        "captioned",
        "image_text_contrastive",
        ("image", "caption"),
    )
    labeled = [{"image": one["image"], "label": one["caption"]} for one in rows()]
    assert prepare(train=labeled).schema.kind == "image"
    named = prepare(train=labeled, task="image_text_contrastive", target="label")
    assert named.schema.text == ("image", "label")
    with pytest.raises(UserError, match="text"):
        prepare(train=[{**one, "caption": " "} for one in rows()])


def test_equal_texts_are_refused(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"all 2\d training texts are 'red'"):
        fit([{**one, "caption": "red"} for one in rows()], model=str(clip), out=tmp_path / "run")


def test_other_models_are_refused(tiny_bert: Path, clip: Path) -> None:
    with pytest.raises(UserError, match="one space"):
        network_of(tiny_bert)
    with pytest.raises(UserError, match="template"):
        read(network_of(clip), 3, image_text.Settings(template="no place"))


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_a_run_learns_colours_and_names_them_unseen(family: str, clip: Path, siglip: Path, tmp_path: Path) -> None:
    run = fit(
        rows(60),
        method="full",
        model=clip if family == "clip" else siglip,
        out=tmp_path / "run",
        head={"name": "image_text_contrastive", "template": "a {}"},
        optimization={"learning_rate": 2e-3},
        training={"epochs": 12, "batch_size": 24, "max_tokens_per_microbatch": 200, "threads": 1},
        evaluation={"resamples": 100},
    )
    proof = run.manifest["certified"]
    assert proof["equal"], proof
    assert proof["with"] == ["tunewright", "transformers AutoModel"]
    found = {(one["of"], one["name"]): one["value"] for one in run.all_scores()}
    assert found["fine-tuned", "text:recall_at_1"] > 0.9
    assert ("before", "image:recall_at_10") in found
    labeled = [{"image": one["image"], "label": one["caption"]} for one in rows(30, seed=1)]
    accuracy = run.zero_shot(labeled, "a {}")[0]
    assert (accuracy.name, accuracy.n) == ("accuracy", 30)
    assert accuracy.value is not None
    assert accuracy.value > 0.9
    assert run.zero_shot(labeled, ("a {}", "the {}"), names=["seven"])[0].n == 30
    answers = run.predict(rows(2))
    assert -1 <= answers[0]["predicted"] <= 1
    scores = {one.name: one.value for one in run.evaluate(rows(9, seed=2))}
    assert scores["text:recall_at_1"] is not None


def test_the_saved_model_is_clips_own(clip: Path, tmp_path: Path) -> None:
    from transformers import CLIPModel

    run = fit(rows(), model=clip, out=tmp_path / "run", strategy="lora", training={"max_steps": 2, "threads": 1})
    assert run.manifest["certified"]["equal"]
    assert "peft PeftModel" in run.manifest["certified"]["with"]
    full = fit(rows(), model=clip, out=tmp_path / "full", strategy="partial", training={"max_steps": 2, "threads": 1})
    theirs = CLIPModel.from_pretrained(str(tmp_path / "full" / "model")).eval()
    examples = read(full.model.network, 3)
    inputs = examples.encoded.collate(np.arange(3))
    with torch.inference_mode():
        torch.testing.assert_close(paired(theirs, theirs(**inputs)), full.model.network(inputs))


def test_passes_change_no_gradient(clip: Path, tmp_path: Path) -> None:
    found = []
    for tokens in (100_000, 60):
        run = fit(
            rows(),
            method="full",
            model=clip,
            out=tmp_path / str(tokens),
            training={
                "max_steps": 3,
                "batch_size": 16,
                "max_tokens_per_microbatch": tokens,
                "threads": 1,
                "precision": "float32",
            },
            evaluation={"certify": False, "resamples": 100, "baselines": ()},
        )
        found.append([event["loss"] for event in run.history if event["kind"] == "step"])
    assert len(found[0]) == 3
    np.testing.assert_allclose(*found, rtol=1e-4)


def test_two_encoders_are_joined(tmp_path: Path) -> None:
    images, texts = tiny_image_model("vit", tmp_path / "vit"), tiny_model("bert", tmp_path / "bert")
    folder = join(str(images), str(texts), tmp_path / "dual", width=16)
    run = fit(rows(), method="full", model=folder, out=tmp_path / "run", training={"max_steps": 2, "threads": 1})
    assert run.manifest["certified"]["equal"]
    assert (tmp_path / "run" / "model" / "preprocessor_config.json").is_file()
    with pytest.raises(UserError, match="one width"):
        join(str(tiny_image_model("resnet", tmp_path / "resnet")), str(texts), tmp_path / "other")
