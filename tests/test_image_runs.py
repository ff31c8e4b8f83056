"""Whole runs on images: from a folder, an archive of arrays or Python; what is refused; augmentation and mixing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tunewright
from tests.data.pictures import saved
from tunewright.core.errors import UserError
from tunewright.core.files import hash_file
from tunewright.models.tiny_images import tiny_image_model
from tunewright.pipeline.planning import check
from tunewright.pipeline.steps import InMemoryData, apply_method, make_job, prepare_rows, probed, set_up, train_features
from tunewright.pipeline.workflow import make_recipe, reproduce

QUICK: dict[str, Any] = {
    "optimization": {"learning_rate": 1e-3, "head_learning_rate": 1e-2},
    "training": {"epochs": 2, "batch_size": 8},
    "evaluation": {"resamples": 100},
}


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_image_model("resnet", tmp_path_factory.mktemp("models") / "resnet"))


def pictures(count: int, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Noise, of which every other picture is lighter on its left side."""
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 90, (count, 20, 24, 3)).astype(np.uint8)
    labels = ["left" if place % 2 else "none" for place in range(count)]
    pixels[1::2, :, :12] += 120
    return pixels, labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder per class, in folders of splits."""
    root = tmp_path_factory.mktemp("set")
    for split, count, seed in (("train", 40, 0), ("val", 12, 1), ("test", 12, 2)):
        pixels, labels = pictures(count, seed)
        for place, (one, label) in enumerate(zip(pixels, labels, strict=True)):
            path = root / split / label / f"{place}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(saved(one))
    return root


def accuracy(run: tunewright.Run, of: str = "fine-tuned") -> float:
    return float(next(one["value"] for one in run.all_scores() if one["of"] == of and one["name"] == "accuracy"))


def test_a_last_batch_of_one_row_is_learnt(tmp_path: Path) -> None:
    """Its last maps of one pixel give a batch norm one value of each channel, which torch refuses in training."""
    model = tiny_image_model("resnet", tmp_path / "resnet", size=8)
    train, test = ([{"image": one, "label": name} for one, name in zip(*pictures(count), strict=True)] for count in (17, 8))
    data = {"near_duplicates": "ignore", "image_size": 8}
    run = tunewright.fit(train, validation=test, test=test, model=model, method="full", out=tmp_path / "run", data=data, **QUICK)
    assert run.manifest["certified"]["equal"]
    assert sum(event["kind"] == "step" for event in run.history) == 2 * 3


def test_a_folder_of_pictures_is_learnt_certified_and_predicted(folder: Path, resnet: str, tmp_path: Path) -> None:
    run = tunewright.fit(
        folder, model={"source": resnet, "freeze_batch_norm": True}, strategy="full", out=tmp_path / "run", **QUICK
    )
    assert accuracy(run) == 1.0
    assert accuracy(run, "majority") == 0.5
    assert run.manifest["certified"]["with"] == ["tunewright", "transformers AutoModelForImageClassification"]
    assert run.details["said"][:3] == [
        "Image: 'image' (guessed).",
        "Target: 'label' (guessed).",
        "Task: classification (guessed).",
    ]
    paths = sorted(str(path) for path in (folder / "test" / "left").iterdir())
    assert {row["predicted"] for row in tunewright.load(run.folder).predict(paths)} == {"left"}
    scores = {score.name: score.value for score in run.evaluate({"image": paths, "label": ["left"] * len(paths)})}
    assert scores["accuracy"] == 1.0


def test_arrays_from_python_are_kept_with_the_run_and_repeat(resnet: str, tmp_path: Path) -> None:
    pixels, labels = pictures(40)
    model = {"source": resnet, "freeze_batch_norm": True}
    run = tunewright.fit((pixels, labels), model=model, strategy="full", out=tmp_path / "run", **QUICK)
    again = reproduce(run.folder, out=tmp_path / "again")
    assert again.equal
    assert again.differences == ()
    predicted = [row["predicted"] for row in run.predict(list(pixels[:4]))]
    assert predicted == labels[:4]


def test_an_archive_of_arrays_with_splits(resnet: str, tmp_path: Path) -> None:
    parts = {split: pictures(count, seed) for split, count, seed in (("train", 30, 0), ("val", 8, 1), ("test", 8, 2))}
    arrays = {f"{split}_images": pixels for split, (pixels, _) in parts.items()}
    arrays |= {f"{split}_labels": np.array([label == "left" for label in labels]) * 1 for split, (_, labels) in parts.items()}
    np.savez(tmp_path / "set.npz", **arrays)
    checked = check(make_recipe(tmp_path / "set.npz", model=resnet)).as_dict()
    assert checked["rows"] == {"train": 30, "validation": 8, "test": 8}
    assert checked["labels"]["names"] == ("0", "1")


def test_a_picture_that_cannot_be_read_is_refused_before_a_model_is_loaded(resnet: str, tmp_path: Path) -> None:
    pixels, labels = pictures(8)
    cells = [saved(one) for one in pixels]
    cells[5] = b"no picture"
    with pytest.raises(UserError, match="row 5"):
        check(make_recipe(model=resnet), InMemoryData({"image": cells, "label": labels}))


def test_repeated_pictures_are_found_across_splits(resnet: str) -> None:
    pixels, labels = pictures(40)
    pixels[7] = pixels[3]
    given = InMemoryData((pixels, labels), test=(pixels[:6], labels[:6]))
    codes = {finding["code"] for finding in check(make_recipe(model=resnet), given).as_dict()["findings"]}
    assert {"exact_duplicates", "leakage"} <= codes


def test_what_was_odd_about_pictures_reaches_the_findings(resnet: str) -> None:
    pixels, labels = pictures(12)
    cells = [saved(np.concatenate([one, np.full_like(one[..., :1], 99)], 2)) for one in pixels]
    found = check(make_recipe(model=resnet), InMemoryData({"image": cells, "label": labels})).as_dict()["findings"]
    assert ("transparent", 12) in {(finding["code"], finding["count"]) for finding in found}


@pytest.mark.parametrize(
    "section",
    [{"augmentation": {"horizontal_flip": 0.5}}, {"mixing": {"mixup": 0.2}}, {"image_size": 64}],
)
def test_what_is_for_images_is_refused_for_texts(section: dict[str, Any], tiny_bert: Path, tmp_path: Path) -> None:
    rows = {"text": [f"word {n} more" for n in range(40)], "label": ["a", "b"] * 20}
    with pytest.raises(UserError, match=f"data.{next(iter(section))} is for images"):
        tunewright.fit(rows, model=str(tiny_bert), data=section, out=tmp_path / "run")


def test_mixing_is_refused_beside_class_weights(resnet: str, tmp_path: Path) -> None:
    head = {"name": "classification", "class_weights": "balanced"}
    with pytest.raises(UserError, match="class_weights"):
        tunewright.fit(pictures(20), model=resnet, data={"mixing": {"cutmix": 1.0}}, head=head, out=tmp_path / "run")


@pytest.mark.parametrize(
    "section",
    [{"augmentation": {"brightness": 0.4}}, {"mixing": {"mixup": 0.4}}, {"mixing": {"cutmix": 1.0}}, {"image_size": 48}],
)
def test_each_setting_changes_the_weights(section: dict[str, Any], resnet: str, tmp_path: Path) -> None:
    settings = QUICK | {"evaluation": {"certify": False, "baselines": (), "resamples": 100}}
    runs = [
        tunewright.fit(pictures(24), model=resnet, strategy="full", out=tmp_path / str(place), data=data, **settings)
        for place, data in enumerate(({}, section))
    ]
    first, second = (hash_file(run.folder / "model" / "model.safetensors") for run in runs)
    assert first != second


def test_probes_and_validation_read_images_as_they_are(resnet: str) -> None:
    """Only batches of the loop are augmented, and nothing of what changes is kept."""
    plain, changing = (
        set_up(recipe, prepare_rows(recipe, InMemoryData(pictures(40))))
        for section in ({}, {"augmentation": {"brightness": 0.5}})
        for recipe in [make_recipe(model=resnet, strategy="partial", data=section, method={"name": "last_layers", "k": 1})]
    )
    assert (train_features(plain)() == train_features(changing)()).all()
    assert not changing.examples["validation"].encoded.varies
    rows = np.arange(4)
    train = probed(changing).encoded
    torch.manual_seed(0)
    assert not torch.equal(train.collate(rows)["pixel_values"], train.collate(rows, training=True)["pixel_values"])
    for setup, kept in ((plain, True), (changing, False)):
        job = make_job(setup, apply_method(setup))
        job.forward.plan({4: 20.0}, job.train, job.validation)
        assert job.forward.starts_above(4) is kept


@pytest.mark.parametrize(
    ("family", "strategy", "opened"),
    [
        ("resnet", "lora", "peft PeftModel"),
        ("vit", "lora", "peft PeftModel"),
        ("vit", "adapter", None),
        ("swin", "full", "transformers AutoModelForImageClassification"),
        ("convnext", "partial", "transformers AutoModelForImageClassification"),
    ],
)
def test_what_is_saved_opens_in_a_fresh_process(family: str, strategy: str, opened: str | None, tmp_path: Path) -> None:
    model = str(tiny_image_model(family, tmp_path / "model"))
    run = tunewright.fit(pictures(24), model=model, strategy=strategy, out=tmp_path / "run", **QUICK)
    proof = run.manifest["certified"]
    assert proof["equal"], proof
    assert proof["with"] == ["tunewright", *([opened] if opened else [])]


def test_gradual_unfreezing_with_slower_lower_stages(resnet: str, tmp_path: Path) -> None:
    run = tunewright.fit(pictures(40), model=resnet, strategy="gradual-unfreezing", out=tmp_path / "run", **QUICK)
    layers = run.details["layers"]
    assert [layer["name"] for layer in layers] == ["embeddings", "block 0", "block 1", "block 2", "head"]
    rates = [layer["rate"] for layer in layers]
    assert rates == sorted(rates)
    assert rates[1] == pytest.approx(rates[2] / 2.6)
    assert run.manifest["certified"]["equal"]


def test_a_source_with_splits_is_scored_on_its_test_rows(folder: Path, resnet: str, tmp_path: Path) -> None:
    model = {"source": resnet, "freeze_batch_norm": True}
    run = tunewright.fit(folder, model=model, strategy="feature-extraction", out=tmp_path / "run", **QUICK)
    assert len(run.predict(folder)) == 12  # train has 40
    again = {score.name: score.value for score in run.evaluate(folder)}
    assert again["accuracy"] == accuracy(run)
