"""The worked example of medical images: its page shows the recipe, and the recipe does what the page says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tunewright.config.reader import read_recipe
from tunewright.core.files import read_tensors
from tunewright.models.tiny_images import tiny_image_model
from tunewright.pipeline.workflow import fit_recipe

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "examples" / "medical_images.yaml"


@pytest.fixture(scope="module")
def xrays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey pictures in MedMNIST's layout: a finding is a light spot, and common."""
    generator = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 48), ("val", 16), ("test", 16)):
        labels = (np.arange(count) % 4 > 0).astype(np.uint8)
        pixels = generator.integers(0, 60, (count, 28, 28)).astype(np.uint8)
        pixels[labels == 1, 8:20, 8:20] += 150
        arrays |= {f"{split}_images": pixels, f"{split}_labels": labels[:, None]}
    path = tmp_path_factory.mktemp("xrays") / "set.npz"
    np.savez(path, **arrays)
    return path


def test_the_page_shows_the_recipe_as_it_is() -> None:
    assert RECIPE.read_text(encoding="utf-8") in (ROOT / "docs" / "tutorials" / "medical_images.md").read_text(encoding="utf-8")


def test_the_recipe_trains_what_the_page_says(xrays: Path, tmp_path: Path) -> None:
    model = tiny_image_model("resnet", tmp_path / "resnet", hidden_sizes=[8, 8, 16, 24], depths=[1, 1, 1, 1])
    settings = [f"data.train={xrays}", f"model.source={model}", f"out={tmp_path / 'run'}", "evaluation.resamples=100"]
    run = fit_recipe(read_recipe(RECIPE, [*settings, "training.epochs=4", "training.batch_size=8"]))
    rates = {layer["name"]: (layer["trainable"] > 0, layer["rate"]) for layer in run.details["layers"]}
    assert rates == {
        "embeddings": (False, 0.0),
        "block 0": (False, 0.0),
        "block 1": (False, 0.0),
        "block 2": (True, 1e-4),
        "block 3": (True, 1e-4),
        "head": (True, 1e-3),
    }
    before, after = (read_tensors(folder / "model.safetensors") for folder in (model, run.folder / "model"))
    frozen = [name for name in before if not any(f"stages.{place}." in name for place in (2, 3))]
    same = [torch.equal(before[name], after[name if name in after else f"resnet.{name}"]) for name in frozen]
    assert len(same) > 10
    assert all(same)
    means = [name for name in before if name.endswith("running_mean")]
    assert all(torch.equal(before[name], after[name if name in after else f"resnet.{name}"]) for name in means)
    assert run.manifest["certified"]["equal"]
    assert run.details["per_class"][0]["support"] == 4
