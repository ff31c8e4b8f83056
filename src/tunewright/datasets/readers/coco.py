"""Boxes in COCO's JSON: images, annotations and categories; one row per image with its objects.

Source: Lin et al. 2014, Microsoft COCO, section 4; its data format for object detection.
When: detection data exported by an annotation tool.
When not: masks and key points, which are not read.
Relatives: boxes_csv.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunewright.core.errors import UserError
from tunewright.datasets.bounding_boxes import Pictures
from tunewright.datasets.formats.decoding import read_text
from tunewright.datasets.formats.strict_json import parse
from tunewright.datasets.table import Table

SUFFIXES: tuple[str, ...] = ()  # .json, known by its keys
_KEYS = ("images", "annotations", "categories")


def recognizes(path: Path) -> bool:
    """Whether a JSON file has COCO's keys."""
    if path.suffix.lower() != ".json" or not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{" and all(
            content.find(f'"{key}"'.encode()) >= 0 for key in _KEYS
        )


def read_splits(path: Path) -> dict[str, Table]:
    return {"train": read(path)}


def read(path: Path) -> Table:
    """Columns image, objects, width and height; an object is {"box": [left, top, right, bottom], "label": name}.

    Rows are counted from 1 as the file lists its images; groups marked as crowds are left out.
    """
    content = parse(read_text(path), str(path))
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in _KEYS):
        raise UserError(f"{path} is not COCO's JSON", expected="lists under images, annotations and categories")
    labels = {_id(path, "category", one, "id"): str(_field(path, "category", one, "name")) for one in content["categories"]}
    found, names = Pictures(str(path), "row"), {}
    for row, one in enumerate(content["images"], 1):
        name = str(_field(path, "image", one, "file_name"))
        if name in found.objects:
            raise UserError(f"{path}, row {row}: image '{name}' is listed twice", expected="each image once")
        names[_id(path, "image", one, "id")] = name
        found.add_image(name, row, _size(path, one))
    for one in content["annotations"]:
        _add(path, found, names, labels, one)
    if not found.objects:
        raise UserError(f"{path} lists no images", expected="at least one")
    return found.table(path)


def _add(path: Path, found: Pictures, names: Mapping[Any, str], labels: Mapping[Any, str], one: Any) -> None:
    image, category = _id(path, "annotation", one, "image_id"), _id(path, "annotation", one, "category_id")
    if image not in names or category not in labels:
        key, value = ("image_id", image) if image not in names else ("category_id", category)
        raise UserError(
            f"{path}: an annotation has the {key} {value!r}, which the file does not list", expected="one that it lists"
        )
    if one.get("iscrowd"):
        return
    box = _field(path, "annotation", one, "bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(value, (int, float)) for value in box):
        raise UserError(f"{path}: an annotation of '{names[image]}' has the bbox {box!r}", expected="[left, top, width, height]")
    left, top, width, height = map(float, box)
    found.add_object(names[image], found.first[names[image]], (left, top, left + width, top + height), labels[category])


def _size(path: Path, one: Any) -> tuple[float, float] | None:
    """Width and height where an image has both."""
    sides = [one.get(side) for side in ("width", "height")]
    if not all(sides):
        return None
    if not all(isinstance(side, (int, float)) and 0 < side < math.inf for side in sides):
        raise UserError(f"{path}: an image has the width and height {sides}", expected="pixels")
    return float(sides[0]), float(sides[1])


def _id(path: Path, kind: str, one: Any, key: str) -> int | str:
    found = _field(path, kind, one, key)
    if not isinstance(found, (int, str)):
        raise UserError(f"{path}: an {kind} has the {key} {str(found)[:60]!r}", expected="a number, or a name")
    return found


def _field(path: Path, kind: str, one: Any, key: str) -> Any:
    if not isinstance(one, dict) or key not in one:
        raise UserError(f"{path}: an {kind} has no '{key}'".replace("an category", "a category"), expected=f"'{key}' in each")
    return one[key]
