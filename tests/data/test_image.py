"""Images: pixels as transformers' own processors make them, shared subsets, a file for what is too large, archives, hashes."""

from __future__ import annotations

import json
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.pictures import photo, saved, table
from tunewright.config.augmentation import Augmentation, Mixing
from tunewright.core.errors import UserError
from tunewright.core.types import Finding
from tunewright.datasets.table import Table
from tunewright.modalities.image import modality as image
from tunewright.modalities.image.modality import ImagePreprocessing

pytest.importorskip("PIL")

SHAPES = [(40, 60), (61, 33), (24, 24), (90, 31)]
STATS = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.25, 0.3]}
EXACT = {"size": {"height": 24, "width": 20}, "resample": 2, **STATS}
EDGE = {"size": {"shortest_edge": 30}, "do_center_crop": True, "crop_size": {"height": 24, "width": 28}, "resample": 3, **STATS}
CONFIGS: list[tuple[str, str, dict[str, Any]]] = [
    ("vit", "ViT", EXACT),
    ("vit", "ViT", {**EXACT, "resample": 0, "do_normalize": False}),
    ("vit", "ViT", {**EXACT, "do_rescale": False}),
    ("vit", "ViT", {**EXACT, "rescale_factor": 1 / 127.5}),
    ("clip", "CLIP", EDGE),
    ("clip", "CLIP", {**EDGE, "size": {"shortest_edge": 16}}),  # smaller than the crop: black around
    ("clip", "CLIP", {**EDGE, "size": {"shortest_edge": 17}, "crop_size": {"height": 23, "width": 22}}),
    ("bit", "Bit", EDGE),
    ("deit", "DeiT", {**EXACT, "do_center_crop": True, "crop_size": {"height": 16, "width": 16}}),
    ("convnext", "ConvNext", {"size": {"shortest_edge": 24}, "crop_pct": 0.875, "resample": 3, **STATS}),
    ("convnext", "ConvNext", {"size": {"shortest_edge": 384}, "resample": 3, **STATS}),
    ("levit", "Levit", {**EDGE, "size": {"shortest_edge": 28}}),
    ("mobilevit", "MobileViT", {**EDGE, "do_flip_channel_order": True}),
    ("mobilenet_v2", "MobileNetV2", EDGE),
    ("pvt", "Pvt", EXACT),
    ("siglip", "Siglip", EXACT),
    ("beit", "Beit", EXACT),
    ("owlvit", "OwlViT", EXACT),
    ("chinese_clip", "ChineseCLIP", EDGE),
    ("mobilenet_v1", "MobileNetV1", EDGE),
]


def arrays(shapes: list[tuple[int, int]] = SHAPES) -> list[np.ndarray]:
    return [photo(*shape, seed=number) for number, shape in enumerate(shapes)]


def encoded(settings: ImagePreprocessing, pictures: list[np.ndarray], **more: Any) -> image.Encoded:
    made = Table({"image": list(pictures)}, tuple(range(1, len(pictures) + 1)), "made")
    return image.encode(image.read(made, ("image",)), settings, **more)


def processor(module: str, name: str, config: dict[str, Any]) -> Any:
    try:
        found = import_module(f"transformers.models.{module}.image_processing_pil_{module}")
    except ModuleNotFoundError:
        pytest.skip("this version of transformers has no image processors of Pillow alone")
    return getattr(found, f"{name}ImageProcessorPil")(**config)


@pytest.mark.parametrize(
    ("module", "name", "config"), CONFIGS, ids=[f"{name}-{number}" for number, (_, name, _) in enumerate(CONFIGS)]
)
def test_pixels_are_those_of_transformers(module: str, name: str, config: dict[str, Any]) -> None:
    from PIL import Image

    theirs = processor(module, name, config)
    ours = ImagePreprocessing.from_processor_config(json.loads(theirs.to_json_string()))
    pictures = arrays()
    found = encoded(ours, pictures)
    batch = found.collate(np.arange(4))["pixel_values"]
    expected = torch.stack([theirs(Image.fromarray(picture), return_tensors="pt")["pixel_values"][0] for picture in pictures])
    assert batch.dtype == torch.float32
    assert batch.shape == expected.shape == (4, 3, ours.height, ours.width)
    assert torch.allclose(batch, expected.float(), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("module", "name", "config"), CONFIGS, ids=[f"{name}-{number}" for number, (_, name, _) in enumerate(CONFIGS)]
)
def test_what_is_saved_means_the_same_to_transformers(module: str, name: str, config: dict[str, Any]) -> None:
    from PIL import Image

    ours = ImagePreprocessing.from_processor_config(json.loads(processor(module, name, config).to_json_string()))
    again = json.loads(json.dumps(ours.to_dict()))
    assert ImagePreprocessing.from_processor_config(again).to_dict() == ours.to_dict()
    kind = "mobilevit" if ours.flip else "vit"
    theirs = processor(kind, again.pop("image_processor_type").removesuffix("ImageProcessor"), again)
    pictures = arrays()
    expected = torch.stack([theirs(Image.fromarray(picture), return_tensors="pt")["pixel_values"][0] for picture in pictures])
    assert torch.allclose(encoded(ours, pictures).collate(np.arange(4))["pixel_values"], expected.float(), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"feature_extractor_type": "ViTFeatureExtractor", "size": 32}, {"resize": (32, 32), "height": 32}),
        (
            {"feature_extractor_type": "ConvNextFeatureExtractor", "size": 224, "crop_pct": 0.875, "resample": 3},
            {"shortest_edge": 256, "height": 224, "crop": True},
        ),
        ({"feature_extractor_type": "CLIPFeatureExtractor", "size": 32, "crop_size": 28}, {"shortest_edge": 32, "width": 28}),
        ({"feature_extractor_type": "DeiTFeatureExtractor", "size": 32, "crop_size": 28}, {"resize": (32, 32), "width": 28}),
        ({"image_processor_type": "ViTImageProcessorFast", "size": {"height": 8, "width": 9}}, {"height": 8, "width": 9}),
    ],
)
def test_old_files_are_understood(config: dict[str, Any], expected: dict[str, Any]) -> None:
    found = ImagePreprocessing.from_processor_config({**config, **STATS})
    assert {name: getattr(found, name) for name in expected} == expected
    assert found.mean == (0.4, 0.5, 0.6)


@pytest.mark.parametrize(
    ("config", "fragment"),
    [
        ({"image_processor_type": "EfficientNetImageProcessor"}, "more than its settings tell"),
        ({"size": {"shortest_edge": 32}}, "unequal size"),
        ({"size": {"shortest_edge": 32, "longest_edge": 64}, "do_center_crop": True}, "size is"),
        ({"size": {"height": -1, "width": 3}}, "a side of -1"),
        ({"size": {"height": 10**9, "width": 3}}, "a side of 1000000000"),
        ({"size": 32, "rescale_offset": True}, "rescale_offset"),
        ({"size": 32, "crop_pct": 0.9}, "crop_pct"),
        ({"size": 32, "resample": "bicubic"}, "resample"),
        ({"size": 32, "do_normalize": True}, "without a mean"),
        ({"size": 32, "image_mean": [0.5] * 4, "image_std": [0.5] * 4}, "4 channels"),
    ],
)
def test_what_cannot_be_done_alike_is_refused(config: dict[str, Any], fragment: str) -> None:
    with pytest.raises(UserError, match=fragment):
        ImagePreprocessing.from_processor_config(config)


def test_a_model_of_one_channel_reads_grey() -> None:
    settings = ImagePreprocessing.from_processor_config({"size": 8, "image_mean": [0.5], "image_std": [0.5]})
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    batch = encoded(settings, [grey, np.repeat(grey[..., None], 3, -1)]).collate(np.arange(2))["pixel_values"]
    assert batch.shape == (2, 1, 8, 8)
    assert torch.allclose(batch[0, 0], torch.from_numpy(grey) / 255 * 2 - 1, atol=1e-6)
    assert torch.equal(batch[0], batch[1])


def test_arrays_of_other_layouts_and_types() -> None:
    settings = ImagePreprocessing(8, 8)
    first = np.moveaxis(photo(8, 8), -1, 0)
    one = photo(8, 8)[..., :1]
    found = encoded(settings, [first, one, one[..., 0] > 99])
    assert (found.pixels[0] == first).all()
    assert (found.pixels[1] == np.moveaxis(one, -1, 0)).all()
    assert set(np.unique(found.pixels[2])) == {0, 255}
    for wrong, fragment in (
        (np.zeros((4, 4)), "float64"),
        (np.zeros((4, 4, 4, 4), np.uint8), "shape"),
        (np.zeros((2, 9, 9), np.uint8), "shape"),
    ):
        with pytest.raises(UserError, match=f"row 1: array .* {fragment}"):
            encoded(settings, [wrong])


def test_a_size_that_the_model_does_not_read_is_refused_where_nothing_resizes() -> None:
    with pytest.raises(UserError, match=r"row 2: array 9×9×3 has 9 x 9 pixels where the model reads 8 x 8"):
        encoded(ImagePreprocessing(8, 8), [photo(8, 8), photo(9, 9)])


def test_subsets_share_the_pixels_and_keep_the_order() -> None:
    pictures = arrays([(8, 8)] * 6)
    whole = encoded(ImagePreprocessing(8, 8), pictures)
    part = whole.subset(np.array([5, 1, 1])).subset(np.array([1, 0]))
    assert part.pixels is whole.pixels
    assert len(part) == 2
    assert part.lengths.tolist() == [1, 1]
    assert torch.equal(part.collate(np.array([0, 1]))["pixel_values"], whole.collate(np.array([1, 5]))["pixel_values"])
    assert whole.truncated == 0


def test_a_patch_is_what_an_image_costs() -> None:
    assert encoded(ImagePreprocessing(32, 48), arrays([(32, 48)]), patch=8).lengths.tolist() == [24]


def test_what_is_too_large_for_memory_lies_in_a_file(tmp_path: Path) -> None:
    pictures = arrays([(8, 8)] * 5)
    plain = encoded(ImagePreprocessing(8, 8), pictures)
    kept = encoded(ImagePreprocessing(8, 8), pictures, memory=100, folder=tmp_path / "kept")
    assert type(kept.pixels.base).__name__ != "NoneType"
    assert (tmp_path / "kept").is_dir()
    assert list((tmp_path / "kept").iterdir()) == []  # it has no name
    assert torch.equal(plain.collate(np.arange(5))["pixel_values"], kept.collate(np.arange(5))["pixel_values"])


def test_hashes_tell_pixels_and_normalization_apart() -> None:
    def content(found: image.Encoded) -> bytes:
        return b"".join(np.ascontiguousarray(array).tobytes() for array in found.arrays())

    pictures = arrays([(8, 8)] * 3)
    plain = encoded(ImagePreprocessing(8, 8), pictures)
    assert content(plain) == content(encoded(ImagePreprocessing(8, 8), pictures))
    assert content(plain) != content(plain.subset(np.array([0, 2, 1])))
    assert content(plain) != content(encoded(ImagePreprocessing(8, 8, mean=(0.5,) * 3, std=(0.5,) * 3), pictures))


def test_augmentation_is_for_training_only_and_follows_torchs_generator() -> None:
    found = encoded(ImagePreprocessing(8, 8), arrays([(8, 8)] * 6))
    assert found.augmented(Augmentation(), Mixing(mixup=0.2)).varies
    found = found.augmented(Augmentation(horizontal_flip=0.5, brightness=0.3), Mixing())
    rows = np.arange(6)
    assert found.varies
    assert not encoded(ImagePreprocessing(8, 8), arrays([(8, 8)])).varies
    plain = found.collate(rows)["pixel_values"]
    assert torch.equal(plain, found.collate(rows)["pixel_values"])
    torch.manual_seed(3)
    first = found.collate(rows, training=True)["pixel_values"]
    second = found.collate(rows, training=True)["pixel_values"]
    torch.manual_seed(3)
    assert torch.equal(first, found.collate(rows, training=True)["pixel_values"])
    assert not torch.equal(first, second)
    assert not torch.equal(first, plain)


def test_all_faults_are_told_with_their_rows(tmp_path: Path) -> None:
    good = saved(photo())
    made = table(tmp_path, "image", {"a.png": good, "b.png": b"", "c.png": b"words\n", "d.png": b"", "e.png": good})
    made.columns["image"][4] = "a.pgn"
    with pytest.raises(UserError) as caught:
        image.read(made, ("image",))
    assert "line 6" in str(caught.value)
    assert "did you mean 'a.png'" in str(caught.value)
    made.columns["image"][4] = "a.png"
    with pytest.raises(UserError) as caught:
        image.read(made, ("image",))
    for fragment in ("2 faults", "lines 3, 5", "empty (0 bytes)", "line 4", "is text"):
        assert fragment in str(caught.value)


@pytest.mark.parametrize(
    ("cell", "fragment"),
    [
        ("", "is empty"),
        (None, "is empty"),
        (3, "holds a int"),
        (".", "names a folder"),
        ("https://example.org/a.png", "names an address"),
        ("a\0b", "a NUL"),
        ("no/such/file.png", "does not exist"),
    ],
)
def test_cells_that_name_no_image(tmp_path: Path, cell: Any, fragment: str) -> None:
    with pytest.raises(UserError, match=fragment):
        image.read(Table({"image": [cell]}, (7,), str(tmp_path / "t.csv"), "line"), ("image",))


def test_bytes_and_cells_of_the_datasets_library_are_read() -> None:
    content = saved(photo(8, 8))
    made = Table({"image": [content, {"bytes": content, "path": None}]}, (1, 2), "made")
    found = image.encode(image.read(made, ("image",)), ImagePreprocessing(8, 8))
    assert (found.pixels[0] == found.pixels[1]).all()


def test_a_damaged_stream_behind_sound_checksums_is_told_with_its_row(tmp_path: Path) -> None:
    """What reading through does not find is found when decoding, and named as well."""
    import zlib

    from tests.data.pictures import png_chunk

    whole = saved(photo())
    start = whole.index(b"IDAT")
    length = int.from_bytes(whole[start - 4 : start], "big")
    stream = bytearray(whole[start + 4 : start + 4 + length])
    stream[: len(stream) // 2] = b"\xff" * (len(stream) // 2)
    broken = whole[: start - 4] + png_chunk(b"IDAT", bytes(stream)) + whole[start + 8 + length :]
    with pytest.raises(zlib.error):
        zlib.decompress(bytes(stream))
    made = table(tmp_path, "image", {"a.png": saved(photo()), "b.png": broken})
    rows = image.read(made, ("image",))
    with pytest.raises(UserError, match=r"line 3: .*b\.png is a damaged image"):
        image.encode(rows, ImagePreprocessing(40, 60), where=made.where)


def test_images_are_read_from_an_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        archive.writestr("x/a.png", saved(photo(8, 8)))
        archive.writestr("x/b.png", b"words")
    made = Table({"image": ["pictures.zip/x/a.png"]}, (1,), str(tmp_path / "t.csv"))
    rows = image.read(made, ("image",))
    assert image.shown(rows[0]).endswith("pictures.zip/x/a.png")
    assert (image.encode(rows, ImagePreprocessing(8, 8)).pixels[0] == np.moveaxis(photo(8, 8), -1, 0)).all()
    for cell, fragment in (("pictures.zip/x/b.png", "is text"), ("pictures.zip/x/c.png", "holds no 'x/c.png'")):
        with pytest.raises(UserError, match=fragment):
            image.read(Table({"image": [cell]}, (1,), str(tmp_path / "t.csv")), ("image",))


def test_shown_and_key(tmp_path: Path) -> None:
    content = saved(photo())
    made = table(tmp_path, "image", {"a.png": content, "b.png": content, "c.png": saved(photo(seed=1))})
    rows = image.read(made, ("image",))
    assert image.shown(rows[0]) == str(tmp_path / "a.png")
    assert image.shown((photo(28, 28)[..., 0],)) == "array 28×28"
    assert image.shown((content,)) == f"{len(content):,} bytes"
    assert image.key(rows[0]) == image.key(rows[1]) == image.key((content,)) != image.key(rows[2])
    square = np.zeros((4, 4), np.uint8)
    assert image.key((square,)) == image.key((square.copy(),)) != image.key((square.reshape(2, 8),))


def test_one_column_is_read_and_a_file_named_twice_is_checked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = table(tmp_path, "image", {"a.png": saved(photo())})
    made = Table({"image": ["a.png"] * 5}, tuple(range(5)), made.source)
    seen: list[Any] = []
    check = image.check
    monkeypatch.setattr(image, "check", lambda cell: seen.append(cell) or check(cell))
    said: list[Finding] = []
    assert len(image.read(made, ("image",), said)) == 5
    assert len(seen) == 1
    with pytest.raises(UserError, match="2 image columns"):
        image.read(made, ("image", "image"))
