"""Detection: the loss of one image is transformers' own, matching is by least cost, boxes come back in the image's pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForObjectDetection

from tunewright.config.augmentation import Augmentation, Mixing
from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets.read import read_splits
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.models.tiny_images import tiny_image_model
from tunewright.pipeline.planning import check
from tunewright.pipeline.steps import InMemoryData
from tunewright.pipeline.workflow import fit, make_recipe
from tunewright.tasks.object_detection import task as detection

LABELS = Labels("object_detection", ("cat", "dog"))
FORM = Form("image", "AutoModelForObjectDetection", "boxes")
SETTINGS = detection.Settings()


@pytest.fixture(scope="module", params=["yolos", "detr", "conditional_detr"])
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    return tiny_image_model(request.param, tmp_path_factory.mktemp("tiny") / request.param)


@pytest.fixture
def network(folder: Path) -> Network:
    return load_network(str(folder), LABELS, form=FORM)


def scenes(count: int, seed: int = 0) -> dict[str, Any]:
    """A light or a dark square on grey, with its box and class; every eighth picture has none."""
    generator = np.random.default_rng(seed)
    images, objects = [], []
    for number in range(count):
        image = generator.integers(90, 130, (32, 40, 3)).astype(np.uint8)
        left, top = (int(one) for one in generator.integers(0, 20, 2))
        found = []
        if number % 8:
            kind = number % 2
            image[top : top + 12, left : left + 14] = 250 if kind else 10
            found = [{"box": [left, top, left + 14, top + 12], "label": LABELS.names[kind]}]
        images.append(image)
        objects.append(found)
    return {"image": images, "objects": objects}


def flipped(objects: list[Any]) -> list[Any]:
    """The same boxes in the mirror image of a scene."""
    boxes = [one["box"] for one in objects]
    return [{**one, "box": [40 - box[2], box[1], 40 - box[0], box[3]]} for one, box in zip(objects, boxes, strict=True)]


def targets_of(objects: list[Any]) -> np.ndarray:
    return object_array(
        (
            np.array([one["box"] for one in some], float).reshape(-1, 4),
            np.array([LABELS.names.index(one["label"]) for one in some], int),
        )
        for some in objects
    )


def test_the_loss_of_one_image_is_the_one_of_transformers(network: Network) -> None:
    family = network.inner.config.model_type
    rows = scenes(4)
    several = [{"box": [1, 2, 9, 30], "label": "dog"}, {"box": [5, 5, 35, 15], "label": "cat"}]
    wanted = targets_of([several, *rows["objects"][1:]])
    examples: Any = detection.encode(network, [(one,) for one in rows["image"]], wanted, SETTINGS, 0)
    config = network.eval().inner.config
    assert (config.bbox_cost, config.giou_cost) == (5, 2)
    assert getattr(config, "eos_coefficient", 0.1) == 0.1
    for row in range(4):
        inputs = examples.encoded.collate(np.array([row]))
        real = torch.from_numpy(examples.targets[row])
        real = real[real[:, 4] >= 0]
        said = network.inner(**inputs, labels=[{"class_labels": real[:, 4].long(), "boxes": real[:, :4]}])
        theirs = said.loss
        if family == "conditional_detr":  # which weighs the focal loss once, where its authors and we do twice
            theirs = theirs + said.loss_dict["loss_ce"]
        ours = detection.losses(network(inputs), torch.from_numpy(examples.targets[[row]]), LABELS, SETTINGS, None)
        torch.testing.assert_close(ours[0], theirs)


def test_each_object_gets_the_query_that_suits_it_best() -> None:
    right = torch.tensor([[0.2, 0.2, 0.2, 0.2], [0.7, 0.7, 0.3, 0.3]])
    boxes = torch.cat([right.flip(0) + 0.01, torch.tensor([[0.5, 0.5, 1.0, 1.0]])])
    queries, objects = detection.match({"logits": torch.zeros(3, 3), "boxes": boxes}, right, torch.tensor([0, 1]), SETTINGS)
    assert dict(zip(queries.tolist(), objects.tolist(), strict=True)) == {0: 1, 1: 0}


def test_a_detector_that_chooses_its_queries_by_another_loss_is_refused(tmp_path: Path) -> None:
    folder = tiny_image_model(
        "deformable_detr", tmp_path / "two", two_stage=True, two_stage_num_proposals=8, with_box_refine=True
    )
    AutoModelForObjectDetection.from_config(AutoConfig.from_pretrained(str(folder))).save_pretrained(str(folder))
    with pytest.raises(UserError, match="proposes boxes in a first stage"):
        fit(scenes(24), model=str(folder), out=tmp_path / "run")


def test_generalized_overlap_by_hand() -> None:
    one = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    others = torch.tensor([[0.0, 0.0, 2.0, 2.0], [1.0, 0.0, 3.0, 2.0], [4.0, 0.0, 6.0, 2.0]])
    torch.testing.assert_close(detection.generalized_overlap(one, others), torch.tensor([[1.0, 1 / 3, -1 / 3]]))


def test_boxes_come_back_in_the_images_own_pixels(network: Network) -> None:
    rows = scenes(3)
    examples: Any = detection.encode(network, [(one,) for one in rows["image"]], targets_of(rows["objects"]), SETTINGS, 0)
    wanted = torch.from_numpy(examples.targets)
    output = {"logits": torch.tensor([[[9.0, 0, 0]]] * 3), "boxes": wanted[:, :1, :4].clamp(min=0)}
    kept = detection.keep(output, examples.encoded, np.arange(3))
    for (boxes, _, _), objects in zip(kept[1:], rows["objects"][1:], strict=True):
        np.testing.assert_allclose(boxes[0], objects[0]["box"], atol=1e-4)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"box": [1, 2, 3], "label": "a"}, "no four numbers"),
        ({"box": [5, 1, 2, 9], "label": "a"}, "without an area"),
        ({"box": [1, 2, 3, 4], "label": None}, "empty label"),
    ],
)
def test_objects_that_cannot_be_are_refused(folder: Path, broken: dict[str, Any], said: str) -> None:
    rows = scenes(12)
    rows["objects"][3] = [{"box": [1, 2, 3, 4], "label": "dog"}, broken]
    with pytest.raises(UserError, match=rf"row 3.*object 2 of 2.*{said}"):
        check(make_recipe(model=str(folder)), InMemoryData(rows))


def test_boxes_are_mirrored_with_their_images(network: Network) -> None:
    rows = scenes(6)
    plain: Any = detection.encode(network, [(one,) for one in rows["image"]], targets_of(rows["objects"]), SETTINGS, 0)
    changed = plain.encoded.augmented(Augmentation(horizontal_flip=0.5), Mixing())
    assert (changed.varies, plain.encoded.varies) == (True, False)
    torch.manual_seed(0)
    made = changed.collate(np.arange(6), training=True)
    chosen = made["mirrored"]
    assert 0 < int(chosen.sum()) < 6
    still = changed.collate(np.arange(6))["pixel_values"]
    for row, flip in enumerate(chosen):
        torch.testing.assert_close(made["pixel_values"][row], still[row].flip(-1) if flip else still[row])
    wanted = detection.mirrored(torch.from_numpy(plain.targets), chosen)
    other = targets_of([flipped(some) if flip else some for flip, some in zip(chosen, rows["objects"], strict=True)])
    by_hand: Any = detection.encode(network, [(one,) for one in rows["image"]], other, SETTINGS, 0)
    torch.testing.assert_close(wanted, torch.from_numpy(by_hand.targets))


def test_a_run_on_mirrored_images_is_the_one_on_their_mirror_images(tmp_path: Path) -> None:
    folder = tiny_image_model("yolos", tmp_path / "model")  # draws nothing in training, as DETR's dropout does
    rows = scenes(24)
    mirrored = {"image": [one[:, ::-1].copy() for one in rows["image"]], "objects": [flipped(some) for some in rows["objects"]]}
    given = {"turned": (rows, {"augmentation": {"horizontal_flip": 1.0}}), "by_hand": (mirrored, {})}
    losses = {}
    for name, (train, data) in given.items():
        run = fit(
            train,
            validation=rows,
            model=str(folder),
            strategy="full",
            out=tmp_path / name,
            data={"task": "object_detection", **data},
            training={"epochs": 2, "batch_size": 8, "precision": "float32"},
            evaluation={"certify": False, "reports": [], "baselines": []},
        )
        losses[name] = [event["loss"] for event in run.history if event["kind"] == "step"]
    np.testing.assert_allclose(losses["turned"], losses["by_hand"], rtol=1e-4)


def test_what_boxes_cannot_follow_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="crop_scale moves pixels"):
        fit(scenes(24), model=str(folder), data={"augmentation": {"crop_scale": 0.5}})


def test_a_whole_run_learns_saves_and_answers(folder: Path, tmp_path: Path) -> None:
    run = fit(
        scenes(48),
        model=str(folder),
        strategy="full",
        out=tmp_path / "run",
        optimization={"learning_rate": 2e-3, "head_learning_rate": 5e-3},
        training={"epochs": 8, "batch_size": 8},
        evaluation={"resamples": 100},
    )
    assert run.details["said"][2] == "Task: object-detection (guessed)."
    assert run.manifest["certified"]["with"] == ["tunewright", "transformers AutoModelForObjectDetection"]
    losses = [event["loss"] for event in run.history if event["kind"] == "step"]
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:4])
    answer = run.predict(scenes(2)["image"])[1]
    assert all(set(one) == {"box", "label", "score"} for one in answer["predicted"])
    assert {entry["of"] for entry in run.all_scores()} == {"fine-tuned", "majority"}
    assert {score.name for score in run.evaluate(scenes(8, seed=1))} == {"mean_average_precision", "average_precision_50"}


def test_the_real_sets_are_read(shared_data: Path, folder: Path) -> None:
    if not (shared_data / "bccd").is_dir():
        pytest.skip("the blood cells are not there")
    checked = check(make_recipe(shared_data / "bccd" / "boxes.csv.gz", model=str(folder))).as_dict()
    assert checked["rows"] == {"train": 205, "validation": 87, "test": 72}
    assert checked["labels"]["names"] == ("Platelets", "RBC", "WBC")
    assert checked["schema"]["task"] == "object_detection"
    raccoons = read_splits(shared_data / "raccoon" / "boxes.csv.gz")["train"]
    assert sum(map(len, raccoons.columns["objects"])) == 217


def test_the_same_boxes_for_every_image_are_the_baseline() -> None:
    objects = [
        [{"box": [0, 0, 4, 4], "label": "cat"}, {"box": [2, 2, 8, 8], "label": "cat"}],
        [{"box": [4, 4, 6, 6], "label": "cat"}],
        [{"box": [1, 1, 3, 9], "label": "dog"}],
        [],
    ]
    found = detection.majority(targets_of(objects), targets_of(objects[:2]), LABELS).values
    assert len(found) == 2
    boxes, classes, sure = found[1]
    assert (boxes.tolist(), classes.tolist()) == ([[2, 2, 6, 6], [1, 1, 3, 9]], [0, 1])
    assert sure.tolist() == [0.5, 0.25]


def test_how_wrong_an_image_is_by_hand() -> None:
    right = (np.array([[0, 0, 10, 10], [20, 20, 30, 30]], float), np.array([0, 1]))
    found = (np.array([[0, 0, 10, 9], [50, 50, 60, 60], [20, 20, 30, 30]], float), np.array([0, 1, 0]), np.array([0.9, 0.8, 0.1]))
    predictions = detection.decode([found], LABELS, None)  # type: ignore[arg-type]
    assert detection.badness(object_array([right]), predictions).tolist() == [2 / 4]
    assert detection.shown(found, LABELS) == "1 cat, 1 dog"
