"""Readers of images, sounds and boxes: folders per class, archives, arrays, COCO, a csv; and the real sets as they are."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.data.pictures import photo, saved, tone, wav
from tunewright.core.errors import UserError
from tunewright.datasets.read import read_splits
from tunewright.datasets.readers import boxes_csv, coco, image_folder, image_zip, npz
from tunewright.datasets.schema import guess_schema
from tunewright.datasets.table import Table

PNG = b"not looked at here"


def folder(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PNG)
    return root


def zipped(path: Path, *names: str, content: bytes = PNG) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return path


def arrays(path: Path, **content: Any) -> Path:
    np.savez_compressed(path, **content)
    return path


# folders and archives


def test_a_folder_per_class(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", "bees/2.JPG", "ants/b.png", "ants/deep/a.png", "ants/.hidden.png", "ants/notes.txt")
    assert image_folder.recognizes(root)
    found = image_folder.read_splits(root)
    assert set(found) == {"train"}
    table = found["train"]
    assert table.columns == {"image": ["ants/b.png", "ants/deep/a.png", "bees/2.JPG"], "label": ["ants", "ants", "bees"]}
    assert table.rows == (1, 2, 3)
    assert [(finding.code, finding.count) for finding in table.findings] == [("files_left_out", 2)]


def test_folders_of_splits_and_sounds(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", "Train/a/1.wav", "Train/b/2.flac", "val/a/3.wav", "test/4.wav", "Train/_noise_/5.wav")
    found = image_folder.read_splits(root)
    assert {split: table.columns for split, table in found.items()} == {
        "train": {"audio": ["Train/a/1.wav", "Train/b/2.flac"], "label": ["a", "b"]},
        "test": {"audio": ["test/4.wav"]},
        "val": {"audio": ["val/a/3.wav"], "label": ["a"]},
    }
    assert image_folder.read(root).columns == found["train"].columns


def test_an_archive_is_the_same_without_its_outer_folder(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "set.zip", "bugs/train/ants/1.jpg", "bugs/train/bees/2.jpg", "bugs/val/bees/3.jpg", "__MACOSX/x/1.jpg"
    )
    found = image_zip.read_splits(path)
    assert found["train"].columns == {
        "image": ["set.zip/bugs/train/ants/1.jpg", "set.zip/bugs/train/bees/2.jpg"],
        "label": ["ants", "bees"],
    }
    assert found["val"].columns["label"] == ["bees"]
    assert image_zip.read(path).columns == found["train"].columns


def test_paths_of_folders_and_archives_lead_to_their_images(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    from tunewright.modalities.image import modality as image

    (tmp_path / "set" / "ants").mkdir(parents=True)
    (tmp_path / "set" / "ants" / "1.png").write_bytes(saved(photo(8, 8)))
    zipped(tmp_path / "set.zip", "ants/1.png", content=saved(photo(8, 8)))
    for table in (image_folder.read(tmp_path / "set"), image_zip.read(tmp_path / "set.zip")):
        rows = image.read(table, ("image",))
        assert (image.encode(rows, image.ImagePreprocessing(8, 8)).pixels[0] == np.moveaxis(photo(8, 8), -1, 0)).all()


@pytest.mark.parametrize(
    ("names", "fragment"),
    [
        (("a/1.txt",), "no images or sounds"),
        (("a/1.png", "b/2.wav"), "1 images and 1 sounds"),
        (("a/1.png", "2.png"), "beside the folders of classes"),
        (("train/a/1.png", "others/a/2.png"), "beside others"),
        (("train/a/1.png", "2.png"), "beside the folders of splits"),
    ],
)
def test_folders_of_another_layout_are_refused(tmp_path: Path, names: tuple[str, ...], fragment: str) -> None:
    with pytest.raises(UserError, match=fragment):
        image_folder.read_splits(folder(tmp_path / "set", *names))


def test_only_folders_with_media_below_are_recognized(tmp_path: Path) -> None:
    assert not image_folder.recognizes(folder(tmp_path / "a", "1.png", "table.csv"))
    assert not image_folder.recognizes(folder(tmp_path / "b", "x/table.csv"))
    assert not image_folder.recognizes(tmp_path / "none")


# arrays


@pytest.mark.parametrize(
    ("keys", "splits"),
    [
        (("x", "y"), {"train"}),
        (("images", "labels"), {"train"}),
        (("x_train", "y_train", "x_test", "y_test"), {"train", "test"}),
        (("train_images", "train_labels", "val_images", "val_labels"), {"train", "val"}),
        (("X_train", "Y_train", "X-validation", "Y-validation"), {"train", "validation"}),
    ],
)
def test_keys_name_inputs_labels_and_splits(tmp_path: Path, keys: tuple[str, ...], splits: set[str]) -> None:
    images = np.arange(4 * 5 * 6, dtype=np.uint8).reshape(4, 5, 6)
    content = {key: images if place % 2 == 0 else np.array([[3], [1], [2], [0]]) for place, key in enumerate(keys)}
    found = npz.read_splits(arrays(tmp_path / "a.npz", **content))
    assert set(found) == splits
    for table in found.values():
        assert list(table.columns) == ["image", "label"]
        assert table.columns["label"] == [3, 1, 2, 0]
        assert (np.stack(table.columns["image"]) == images).all()
        assert table.rows == (1, 2, 3, 4)


def test_values_become_eight_bits(tmp_path: Path) -> None:
    grey = np.linspace(0, 1, 24).reshape(2, 3, 4)
    for given, expected in (
        (grey, np.rint(grey * 255)),
        (np.rint(grey * 255), np.rint(grey * 255)),
        (np.rint(grey * 255).astype(np.int32), np.rint(grey * 255)),
        (np.moveaxis(photo(4, 5)[None].repeat(2, 0), -1, 1), np.moveaxis(photo(4, 5)[None].repeat(2, 0), -1, 1)),
    ):
        found = npz.read(arrays(tmp_path / "a.npz", images=given, labels=np.array([0, 1])))
        assert (np.stack(found.columns["image"]) == expected).all()
        assert found.columns["image"][0].dtype == np.uint8
    for wrong in (grey * 3, grey * 300, grey - 1):
        with pytest.raises(UserError, match="holds values from"):
            npz.read(arrays(tmp_path / "a.npz", images=wrong, labels=np.array([0, 1])))


def test_sounds_with_offsets_names_and_a_column_of_splits(tmp_path: Path) -> None:
    path = arrays(
        tmp_path / "a.npz",
        audio=np.arange(10, dtype=np.int16),
        offsets=np.array([0, 3, 7, 10]),
        sample_rate=8000,
        label=np.array([1, 0, 1], dtype=np.uint8),
        words=np.array(["no", "yes"]),
        speaker=np.array([2, 2, 0]),
        speaker_names=np.array(["ann", "bob", "cid", "dan"]),
        official_split=np.array(["train", "val", "train"]),
        matrix=np.ones((2, 2)),
    )
    found = npz.read_splits(path)
    assert set(found) == {"train", "val"}
    table = found["train"]
    assert table.rows == (1, 3)
    assert {name: values for name, values in table.columns.items() if name != "audio"} == {
        "label": ["yes", "yes"],
        "speaker": ["cid", "ann"],
        "official_split": ["train", "train"],
    }
    assert [cell["array"].tolist() for cell in table.columns["audio"]] == [[0, 1, 2], [7, 8, 9]]
    assert table.columns["audio"][0]["sampling_rate"] == 8000
    assert [(finding.code, finding.count) for finding in table.findings] == [("arrays_unused", 1)]
    assert "matrix" in table.findings[0].message


def test_several_labels_of_a_row(tmp_path: Path) -> None:
    path = arrays(tmp_path / "a.npz", images=np.zeros((2, 4, 4), np.uint8), labels=np.array([[1, 0, 1], [0, 0, 0]]))
    assert npz.read(path).columns["label"] == [[0, 2], []]


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        ({"y": np.zeros(3)}, "0 arrays of images or sounds"),
        ({"x": np.zeros((2, 3, 3), np.uint8), "images": np.zeros((2, 3, 3), np.uint8)}, "2 arrays"),
        ({"x": np.zeros((2, 9), np.uint8)}, "shape"),
        ({"x": np.zeros((2, 3, 3), np.uint8), "y": np.zeros(3)}, "3 labels and 2 images"),
        ({"audio": np.zeros((2, 30), np.int16)}, "rate"),
        ({"audio": np.zeros(30, np.int16), "sample_rate": 8000}, "offsets"),
        ({"audio": np.zeros(30, np.int16), "sample_rate": 8000, "offsets": np.array([0, 20, 10])}, "do not cut"),
        ({"audio": np.zeros(30, np.int16), "sample_rate": 8000, "offsets": np.array([0, 99])}, "do not cut"),
        ({"x": np.array([{"a": 1}], dtype=object)}, "Python objects"),
        ({"x_train": np.zeros((1, 2, 2), np.uint8), "train_x": np.zeros((1, 2, 2), np.uint8)}, "two arrays that mean 'x'"),
    ],
)
def test_arrays_of_another_layout_are_refused(tmp_path: Path, content: dict[str, Any], fragment: str) -> None:
    with pytest.raises(UserError, match=fragment):
        npz.read(arrays(tmp_path / "a.npz", **content))


def test_damaged_and_oversized_archives_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = arrays(tmp_path / "a.npz", x=np.zeros((4, 50, 50), np.uint8))
    (tmp_path / "b.npz").write_bytes(path.read_bytes()[:60])
    with pytest.raises(UserError, match="not a whole archive"):
        npz.read(tmp_path / "b.npz")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**6, 10**3)})
    zipped(tmp_path / "c.npz", "x.npy", content=header.getvalue() + b"few")
    with pytest.raises(UserError, match=r"declares 1,000,000,000,000,\d+ bytes"):
        npz.read(tmp_path / "c.npz")
    monkeypatch.setattr(npz, "_LARGEST", 9999)
    with pytest.raises(UserError, match="unpacks to 10,128 bytes"):
        npz.read(path)


# boxes


def coco_json(**changes: Any) -> dict[str, Any]:
    return {
        "images": [
            {"id": 7, "file_name": "b.jpg", "width": 100, "height": 50},
            {"id": 9, "file_name": "a.jpg", "width": 60, "height": 40},
        ],
        "annotations": [
            {"image_id": 7, "category_id": 3, "bbox": [10, 5, 20, 30]},
            {"image_id": 7, "category_id": 1, "bbox": [90, 40, 20, 20]},
            {"image_id": 7, "category_id": 1, "bbox": [1, 1, 0, 9]},
            {"image_id": 7, "category_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": 1},
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}],
        **changes,
    }


def write_json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_coco_becomes_one_row_per_image(tmp_path: Path) -> None:
    folder(tmp_path, "images/a.jpg", "images/b.jpg")
    path = write_json(tmp_path / "instances.json", coco_json())
    assert coco.recognizes(path)
    table = coco.read_splits(path)["train"]
    assert table.columns == {
        "image": ["images/b.jpg", "images/a.jpg"],
        "objects": [[{"box": [10, 5, 30, 35], "label": "dog"}, {"box": [90, 40, 100, 50], "label": "cat"}], []],
        "width": [100, 60],
        "height": [50, 40],
    }
    assert [(finding.code, finding.count) for finding in table.findings] == [("empty_boxes", 1), ("cut_boxes", 1)]


@pytest.mark.parametrize(
    ("changes", "fragment"),
    [
        ({"annotations": [{"image_id": 8, "category_id": 1, "bbox": [0, 0, 1, 1]}]}, "image_id 8"),
        ({"annotations": [{"image_id": 7, "category_id": 2, "bbox": [0, 0, 1, 1]}]}, "category_id 2"),
        ({"annotations": [{"image_id": 7, "category_id": 1, "bbox": [0, 0, 1]}]}, "bbox"),
        ({"annotations": [{"image_id": 7, "category_id": 1}]}, "no 'bbox'"),
        ({"images": []}, "image_id 7"),
        ({"images": [{"id": 7}]}, "no 'file_name'"),
        ({"images": [{"id": 7, "file_name": "a"}, {"id": 8, "file_name": "a"}]}, "listed twice"),
        ({"categories": {}}, "not COCO"),
    ],
)
def test_faults_of_coco(tmp_path: Path, changes: dict[str, Any], fragment: str) -> None:
    with pytest.raises(UserError, match=fragment):
        coco.read(write_json(tmp_path / "a.json", coco_json(**changes)))


def test_plain_json_is_not_taken_for_coco(tmp_path: Path) -> None:
    assert not coco.recognizes(write_json(tmp_path / "a.json", [{"text": '"images" "annotations" "categories"'}]))
    assert not coco.recognizes(write_json(tmp_path / "b.json", {"images": [], "annotations": []}))
    (tmp_path / "c.json").write_bytes(b"")
    assert not coco.recognizes(tmp_path / "c.json")


BOXES = """filename,width,height,class,xmin,ymin,xmax,ymax
b.jpg,100,50,dog,10,5,30,35
a.jpg,60,40,cat,1,2,3,4
b.jpg,100,50,cat,90,40,110,60
c.jpg,60,40,,,,,
a.jpg,60,40,cat,5,5,5,9
"""


@pytest.mark.parametrize("packed", [True, False])
def test_boxes_in_a_csv_beside_an_archive(tmp_path: Path, packed: bool) -> None:
    zipped(tmp_path / "pictures.zip", "a.jpg", "b.jpg", "c.jpg")
    path = tmp_path / ("boxes.csv.gz" if packed else "boxes.csv")
    path.write_bytes(gzip.compress(BOXES.encode()) if packed else BOXES.encode())
    assert boxes_csv.recognizes(path)
    table = boxes_csv.read(path)
    assert table.columns == {
        "image": ["pictures.zip/b.jpg", "pictures.zip/a.jpg", "pictures.zip/c.jpg"],
        "objects": [
            [{"box": [10, 5, 30, 35], "label": "dog"}, {"box": [90, 40, 100, 50], "label": "cat"}],
            [{"box": [1, 2, 3, 4], "label": "cat"}],
            [],
        ],
        "width": [100, 60, 60],
        "height": [50, 40, 40],
    }
    assert table.rows == (2, 3, 5)
    assert [(finding.code, finding.rows) for finding in table.findings] == [("empty_boxes", (6,)), ("cut_boxes", (4,))]


def test_lists_beside_the_boxes_are_its_splits(tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text(BOXES)
    (tmp_path / "train.txt").write_text("a\n")
    (tmp_path / "val.txt").write_text("b.jpg\n")
    found = boxes_csv.read_splits(tmp_path / "boxes.csv")
    assert {split: table.columns["image"] for split, table in found.items()} == {"train": ["a.jpg"], "val": ["b.jpg"]}
    assert [(finding.code, finding.count) for finding in found["train"].findings] == [("empty_boxes", 1), ("images_left_out", 1)]
    assert [finding.code for finding in found["val"].findings] == ["cut_boxes"]


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (BOXES.replace("90,40,110", "90,forty,110"), "line 4: ymin is 'forty'"),
        (BOXES.replace("90,40,110", "nan,40,110"), "line 4: xmin is 'nan'"),
        (BOXES.replace("a.jpg,60,40,cat,1", ",60,40,cat,1"), "line 3: no image"),
        (BOXES.replace("cat,1,2,3,4", "cat,1,2,3,"), "line 3: a box without all"),
        (BOXES.replace("cat,1,2,3,4", "cat,1"), "line 3: 5 fields"),
        (BOXES.replace("100,50,cat", "99,50,cat"), "line 4: 'b.jpg' had another size"),
        (BOXES.split("\n")[0] + "\n", "no rows"),
        ("text,label\nx,y\n", "no table of boxes"),
    ],
)
def test_faults_of_boxes(tmp_path: Path, content: str, fragment: str) -> None:
    (tmp_path / "boxes.csv").write_text(content)
    with pytest.raises(UserError, match=fragment):
        boxes_csv.read(tmp_path / "boxes.csv")


def test_other_tables_are_not_taken_for_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("text,label\nx,y\n")
    (tmp_path / "b.csv.gz").write_bytes(b"\x1f\x8b nothing")
    (tmp_path / "c.csv").write_bytes(b"")
    assert not any(boxes_csv.recognizes(tmp_path / name) for name in ("a.csv", "b.csv.gz", "c.csv", "none.csv"))
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress(BOXES.encode()))
    monkeypatch.setattr(boxes_csv, "_LARGEST", 100)
    with pytest.raises(UserError, match="unpacks to more than 100 bytes"):
        boxes_csv.read(tmp_path / "d.csv.gz")


# the real sets, as they are


def real(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        pytest.skip(f"{name} is not in the shared data folder")
    return folder / name


def counts(found: dict[str, Table]) -> dict[str, int]:
    return {split: len(table) for split, table in found.items()}


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "sizes", "columns", "classes"),
    [
        ("fashion_mnist/fashion_mnist.npz", {"train": 20_000, "test": 10_000}, ["image", "label"], 10),
        ("mnist10k/mnist_t10k.npz", {"train": 10_000}, ["image", "label"], 10),
        ("usps/usps.npz", {"train": 7291, "test": 2007}, ["image", "label"], 10),
        ("pneumoniamnist/pneumoniamnist.npz", {"train": 4708, "val": 524, "test": 624}, ["image", "label"], 2),
        ("fsdd/fsdd.npz", {"train": 1800}, ["audio", "digit", "index", "speaker"], 10),
        (
            "speech_commands_mini/speech_commands_mini.npz",
            {"train": 205, "val": 44, "test": 51},
            ["audio", "label", "official_split", "speaker"],
            30,
        ),
    ],
)
def test_real_arrays(shared_data: Path, name: str, sizes: dict[str, int], columns: list[str], classes: int) -> None:
    found = npz.read_splits(real(shared_data, name))
    assert counts(found) == sizes
    assert sorted(found["train"].columns) == columns
    label = "label" if "label" in columns else "digit"
    assert len({value for table in found.values() for value in table.columns[label]}) == classes


@pytest.mark.real_data
def test_real_sounds_are_encoded(shared_data: Path) -> None:
    pytest.importorskip("soundfile")
    from tunewright.modalities.audio import modality as audio

    table = npz.read(real(shared_data, "fsdd/fsdd.npz")).select(range(40))
    assert set(npz.read(real(shared_data, "fsdd/fsdd.npz")).columns["speaker"]) >= {"george", "jackson", "theo"}
    encoded = audio.encode(audio.read(table, ("audio",)), audio.AudioPreprocessing(max_seconds=1))
    given = [len(cell["array"]) * 2 for cell in table.columns["audio"]]
    assert encoded.counts.tolist() == [min(16_000, length) for length in given]


@pytest.mark.real_data
def test_a_real_archive_of_images(shared_data: Path) -> None:
    pytest.importorskip("PIL")
    from tunewright.modalities.image import modality as image

    found = image_zip.read_splits(real(shared_data, "hymenoptera/hymenoptera_192px.zip"))
    assert counts(found) == {"train": 243, "val": 153}
    assert [found["train"].columns["label"].count(name) for name in ("ants", "bees")] == [122, 121]
    assert len(image.read(found["val"], ("image",))) == 153


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "sizes", "boxes", "said"),
    [
        ("bccd/boxes.csv.gz", {"train": 205, "val": 87, "test": 72}, 4888, {"empty_boxes": 2}),
        ("raccoon/boxes.csv.gz", {"train": 200}, 217, {"cut_boxes": 4}),
    ],
)
def test_real_boxes(shared_data: Path, name: str, sizes: dict[str, int], boxes: int, said: dict[str, int]) -> None:
    pytest.importorskip("PIL")
    from tunewright.modalities.image import modality as image

    path = real(shared_data, name)
    assert boxes_csv.recognizes(path)
    found = boxes_csv.read_splits(path)
    assert counts(found) == sizes
    empty = said.get("empty_boxes", 0)
    assert sum(len(objects) for table in found.values() for objects in table.columns["objects"]) == boxes - empty
    findings = [finding for table in found.values() for finding in table.findings]
    assert {finding.code for finding in findings} == set(said)
    assert sum(finding.count for finding in findings) == sum(said.values())
    last = list(found.values())[-1].select(range(20))
    assert len(image.read(last, ("image",))) == 20


def test_a_folder_of_sounds_is_read(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    from tunewright.modalities.audio import modality as audio

    for name in ("yes/1.wav", "no/2.wav"):
        (tmp_path / "set" / name).parent.mkdir(parents=True)
        (tmp_path / "set" / name).write_bytes(wav(tone()))
    table = image_folder.read(tmp_path / "set")
    assert table.columns["label"] == ["no", "yes"]
    assert len(audio.read(table, ("audio",))) == 2


def voc(folder: Path, name: str, *objects: tuple[str, float, float, float, float], body: str = "") -> None:
    """An annotation and its image of 40 x 30 pixels."""
    (folder / "Annotations").mkdir(parents=True, exist_ok=True)
    (folder / "JPEGImages").mkdir(exist_ok=True)
    Image.new("RGB", (40, 30)).save(folder / "JPEGImages" / f"{name}.png")
    boxes = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{left}</xmin><ymin>{top}</ymin>"
        f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        for label, left, top, right, bottom in objects
    )
    whole = f"<annotation><filename>{name}.png</filename><size><width>40</width><height>30</height></size>{boxes}</annotation>"
    (folder / "Annotations" / f"{name}.xml").write_text(body or whole)


def test_a_folder_of_voc_is_read_with_its_lists(tmp_path: Path) -> None:
    voc(tmp_path, "a", ("cat", 1, 1, 10, 20), ("dog", 5, 6, 50, 30))
    voc(tmp_path, "b")
    voc(tmp_path, "c", ("cat", 2, 2, 2, 9), ("cat", 3, 3, 3, 3))
    table = read_splits(tmp_path)["train"]
    assert table.columns["image"] == [f"JPEGImages/{name}.png" for name in "abc"]
    assert table.columns["objects"][0] == [
        {"box": [0.0, 0.0, 10.0, 20.0], "label": "cat"},
        {"box": [4.0, 5.0, 40.0, 30.0], "label": "dog"},  # cut to the image, and said
    ]
    assert [one["box"] for one in table.columns["objects"][2]] == [[1.0, 1.0, 2.0, 9.0], [2.0, 2.0, 3.0, 3.0]]
    assert [finding.code for finding in table.findings] == ["cut_boxes"]
    schema = guess_schema(table)
    assert (schema.kind, schema.task) == ("image", "object_detection")
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb\n")
    (lists / "test.txt").write_text("c\n")
    assert {part: len(found) for part, found in read_splits(tmp_path).items()} == {"train": 2, "test": 1}


@pytest.mark.parametrize(
    ("body", "fragment"),
    [
        ("<annotation><filename>gone.png</filename></annotation>", "'gone.png', which is not there"),
        ("<annotation>", "is no XML"),
        ("<annotation/>", "has no <filename>"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "declares a document type"),
        ("<annotation><filename>a.png</filename><object><name>x</name></object></annotation>", "has no bndbox"),
    ],
)
def test_faults_of_voc(tmp_path: Path, body: str, fragment: str) -> None:
    voc(tmp_path, "a", body=body)
    with pytest.raises(UserError, match=fragment):
        read_splits(tmp_path)


def test_a_manifest_of_sounds_is_recognized(tmp_path: Path) -> None:
    rows = [{"audio_filepath": f"{name}.wav", "duration": 0.5, "text": "one two"} for name in ("a", "b")]
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    schema = guess_schema(read_splits(tmp_path / "manifest.jsonl")["train"])
    assert (schema.kind, schema.task, schema.text, schema.target) == (
        "audio",
        "speech_recognition",
        ("audio_filepath",),
        ("text",),
    )
