"""The size of images: the processor's, the one asked for, or the only one that a network takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunewright.core.errors import UserError
from tunewright.core.files import read_json, write_json
from tunewright.core.types import Labels
from tunewright.models.form import Form
from tunewright.models.image_size import fit_image_size
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.models.tiny_images import tiny_image_model

LABELS = Labels("classification", ("ant", "bee"))
FORM = Form("image", "AutoModelForImageClassification", "logits")


def network(family: str, folder: Path, processor: dict[str, Any] | None = None, **settings: Any) -> Network:
    path = tiny_image_model(family, folder / family, **settings) / "preprocessor_config.json"
    write_json(path, read_json(path) | (processor or {}))
    return load_network(str(path.parent), LABELS, form=FORM)


def test_a_processor_that_fits_is_left_alone(tmp_path: Path) -> None:
    one = network("vit", tmp_path)
    before = one.processor
    assert fit_image_size(one, None) is None
    assert one.processor is before


def test_a_processor_of_another_size_is_corrected_where_the_network_takes_one_alone(tmp_path: Path) -> None:
    one = network("vit", tmp_path, {"size": {"height": 64, "width": 64}})
    said = fit_image_size(one, None)
    assert said is not None
    assert "32 x 32" in said
    assert (one.processor.height, one.processor.width, one.processor.resize) == (32, 32, (32, 32))


def test_a_convolutional_network_reads_its_processors_size_or_another(tmp_path: Path) -> None:
    one = network("resnet", tmp_path, {"size": {"height": 64, "width": 64}})
    assert fit_image_size(one, None) is None
    assert "40 x 40" in str(fit_image_size(one, 40))
    assert one.processor.height == 40
    assert one.stack.blocks


def test_a_size_that_the_network_does_not_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="40 x 40") as caught:
        fit_image_size(network("vit", tmp_path), 40)
    assert "32 x 32" in str(caught.value)


def test_grey_images_for_a_network_of_one_channel(tmp_path: Path) -> None:
    one = network("resnet", tmp_path, {"do_normalize": False}, channels=1)
    fit_image_size(one, None)
    assert one.processor.channels == 1


def test_channels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    one = network("resnet", tmp_path, {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}, channels=1)
    with pytest.raises(UserError, match="1 channels"):
        fit_image_size(one, None)
