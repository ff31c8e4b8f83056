"""Segmentation: the loss is transformers' own, counts make the metrics, masks go through the image's geometry; a whole run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.pictures import saved
from tunewright.config.augmentation import Augmentation, Mixing
from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets.targets.masks import NO_CLASS
from tunewright.metrics import mean_iou, pixel_accuracy
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.models.tiny_images import tiny_image_model
from tunewright.pipeline.planning import check
from tunewright.pipeline.steps import InMemoryData
from tunewright.pipeline.workflow import fit, make_recipe
from tunewright.tasks.semantic_segmentation import task as segmentation

LABELS = Labels("semantic_segmentation", ("0", "1", "4"))
FORM = Form("image", "AutoModelForSemanticSegmentation", "logits")
SETTINGS = segmentation.Settings()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_image_model("segformer", tmp_path_factory.mktemp("tiny") / "segformer")


@pytest.fixture
def network(folder: Path) -> Network:
    return load_network(str(folder), LABELS, form=FORM)


def scenes(count: int, seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """A light square on noise; its mask is 1 there, without a class in one corner, and 0 elsewhere."""
    generator = np.random.default_rng(seed)
    images, masks = [], []
    for _ in range(count):
        image = generator.integers(0, 60, (32, 32, 3)).astype(np.uint8)
        mask = np.zeros((32, 32), dtype=np.uint8)
        top, left = generator.integers(2, 16, 2)
        image[top : top + 12, left : left + 12] += 150
        mask[top : top + 12, left : left + 12] = 1
        mask[:2, :2] = NO_CLASS
        images.append(image)
        masks.append(mask)
    return images, masks


def test_the_stack_is_the_encoder_and_the_head_is_new(network: Network) -> None:
    names = [group.name for group in network.stack.groups]
    assert names == ["embeddings", "block 0", "block 1", "final", "head"] or names == ["embeddings", "block 0", "block 1", "head"]
    assert all(".decode_head." in name for name in network.head_names)
    listed = sorted(name for group in network.stack.groups for name in group.parameters)
    assert listed == sorted(name for name, _ in network.named_parameters())


def test_the_loss_is_the_one_of_transformers(network: Network) -> None:
    images, masks = scenes(3)
    examples = segmentation.encode(network, [(one,) for one in images], object_array(masks), SETTINGS, 0)
    inputs = examples.encoded.collate(np.arange(3))
    wanted = torch.from_numpy(np.stack(masks))
    network.inner.config.semantic_loss_ignore_index = NO_CLASS
    with torch.no_grad():
        theirs = network.eval().inner(**inputs, labels=wanted.long()).loss
        output = network(inputs)
    ours = segmentation.losses(output, wanted, LABELS, SETTINGS, None).sum() / segmentation.counts(wanted, None).sum()
    torch.testing.assert_close(ours, theirs)


def test_counts_of_pixels_make_the_metrics(network: Network) -> None:
    _, masks = scenes(2)
    wanted = np.stack(masks)
    given = wanted.copy()
    given[0, 20:, 20:] = 2
    logits = (
        torch.nn.functional.one_hot(torch.from_numpy(np.where(given == NO_CLASS, 0, given)).long(), 3).permute(0, 3, 1, 2).float()
    )
    examples = segmentation.encode(network, [(one,) for one in scenes(2)[0]], object_array(masks), SETTINGS, 0)
    kept = segmentation.keep(logits, examples.encoded, np.arange(2))
    predictions = segmentation.decode(kept, LABELS, examples.encoded)
    right = wanted != NO_CLASS
    assert kept.sum() == right.sum()
    accuracy = ((given == wanted) & right).sum() / right.sum()
    assert pixel_accuracy.value(wanted, predictions.values, LABELS) == pytest.approx(accuracy)
    ratios = []
    for number in range(3):
        both = ((given == number) & (wanted == number) & right).sum()
        either = (((given == number) | (wanted == number)) & right).sum()
        ratios.append(both / either)
    assert mean_iou.value(wanted, predictions.values, LABELS) == pytest.approx(np.mean(ratios))


def test_masks_follow_the_images_geometry(network: Network) -> None:
    mask = np.zeros((64, 16), dtype=np.uint8)
    mask[32:] = 1
    examples: Any = segmentation.encode(network, [(np.zeros((64, 16, 3), np.uint8),)], object_array([mask]), SETTINGS, 0)
    assert examples.targets.shape == (1, 32, 32)
    assert (examples.targets[0, :16] == 0).all()
    assert (examples.targets[0, 16:] == 1).all()


def test_masks_are_mirrored_with_their_images_in_each_step(network: Network) -> None:
    images, masks = scenes(6)
    plain: Any = segmentation.encode(network, [(one,) for one in images], object_array(masks), SETTINGS, 0)
    changed = plain.encoded.augmented(Augmentation(horizontal_flip=0.5, brightness=0.2), Mixing())
    torch.manual_seed(0)
    chosen = changed.collate(np.arange(6), training=True)["mirrored"]
    assert 0 < int(chosen.sum()) < 6
    wanted = segmentation.mirrored(torch.from_numpy(plain.targets), chosen).numpy()
    for row, flipped in enumerate(chosen):
        np.testing.assert_array_equal(wanted[row], masks[row][:, ::-1] if flipped else masks[row])
    assert "mirrored" not in changed.collate(np.arange(6))


def test_the_most_frequent_class_for_every_pixel_is_the_baseline() -> None:
    masks = object_array([np.array([[0, 0, 1]], np.uint8), np.array([[2, NO_CLASS, 0]], np.uint8)])
    found = segmentation.majority(masks, masks, LABELS).values
    assert found[0].tolist() == [[2, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert found[1].tolist() == [[1, 0, 0], [0, 0, 0], [1, 0, 0]]
    right = np.concatenate([mask[mask != NO_CLASS] for mask in masks])
    assert pixel_accuracy.value(masks, found, LABELS) == pytest.approx((right == 0).mean())


def test_masks_that_cannot_be_are_refused(folder: Path) -> None:
    images, masks = scenes(12)
    cells: list[Any] = [saved(one) for one in masks]
    cells[3] = saved(images[3])
    recipe = make_recipe(model=str(folder))
    with pytest.raises(UserError, match="colour model RGB"):
        check(recipe, InMemoryData({"image": images, "mask": cells}))
    with pytest.raises(UserError, match="the masks hold 1 class"):
        check(recipe, InMemoryData({"image": images, "mask": [np.zeros((32, 32), np.uint8)] * 12}))


def test_a_whole_run_learns_saves_and_answers(folder: Path, tmp_path: Path) -> None:
    images, masks = scenes(40)
    run = fit(
        {"image": images, "mask": masks},
        model=str(folder),
        strategy="full",
        out=tmp_path / "run",
        data={"augmentation": {"horizontal_flip": 0.5}},
        optimization={"learning_rate": 3e-3, "head_learning_rate": 1e-2},
        training={"epochs": 10, "batch_size": 8},
        evaluation={"resamples": 100},
    )
    assert {entry["of"] for entry in run.all_scores()} == {"fine-tuned", "majority"}
    assert next(score.value for score in run.scores if score.name == "mean_iou") > 0.7
    assert run.manifest["certified"]["with"] == ["tunewright", "transformers AutoModelForSemanticSegmentation"]
    assert run.details["said"][2] == "Task: semantic-segmentation (guessed)."
    answer = run.predict(images[:1])[0]
    assert np.array(answer["mask"]).shape == (32, 32)
    assert answer["classes"] == ["0", "1"]
    again = {score.name: score.value for score in run.evaluate({"image": images, "mask": masks})}
    assert again["pixel_accuracy"] > 0.9
