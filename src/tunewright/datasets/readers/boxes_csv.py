"""Boxes in a csv, plain or gzipped: one line per box with its image, corners and label; one row per image with its objects.

Images are looked for beside the file, in ``images`` and in a zip archive beside it. Lists ``train.txt``, ``val.txt`` and
``test.txt`` of image names beside it, as Pascal VOC has them, are its splits.

Source: Everingham et al. 2010, The Pascal visual object classes challenge, section 3 (boxes, image sets).
When: boxes from a table or a converter of Pascal VOC's XML.
When not: COCO's JSON, which coco reads.
Relatives: coco.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tunewright.core.errors import UserError
from tunewright.core.types import Finding
from tunewright.datasets.bounding_boxes import Pictures
from tunewright.datasets.formats.class_folders import SPLITS, the_train_part
from tunewright.datasets.formats.decoding import read_lines
from tunewright.datasets.numbers import as_number
from tunewright.datasets.table import Table, listed

SUFFIXES: tuple[str, ...] = ()  # .csv or .csv.gz, known by its header
_LARGEST = 256 * 2**20  # bytes once unpacked (a guess: some millions of boxes)
_CORNERS = (("xmin", "ymin", "xmax", "ymax"), ("x_min", "y_min", "x_max", "y_max"), ("x1", "y1", "x2", "y2"))
_IMAGES = ("image", "filename", "file_name", "file", "image_path", "path")
_LABELS = ("label", "class", "name", "category")


def recognizes(path: Path) -> bool:
    """Whether a header has an image, four corners and a label."""
    if not path.is_file() or not path.name.lower().endswith((".csv", ".csv.gz")):
        return False
    try:
        header = next(csv.reader(_lines(path)), [])
    except (UserError, csv.Error):
        return False
    return _places(header) is not None


def read_splits(path: Path) -> dict[str, Table]:
    found = _gathered(path)
    lists = {name: path.parent / f"{name}.txt" for name in dict.fromkeys(SPLITS.values())}
    named = {split: _names_in(file, found) for split, file in lists.items() if file.is_file()}
    if "train" not in named:
        return {"train": found.table(path)}
    tables = {split: found.table(path, names, f"{path} ({split})") for split, names in named.items() if names}
    others = [name for name in found.objects if not any(name in names for names in named.values())]
    if others:
        message = f"{path}: {len(others)} images are in none of the lists beside it and are left out: {listed(others)}"
        train = tables["train"]
        said = (*train.findings, Finding("images_left_out", message, "warning", count=len(others)))
        tables["train"] = Table(train.columns, train.rows, train.source, train.unit, said)
    return tables


def read(path: Path) -> Table:
    """Columns image, objects and, where given, width and height; rows count the line of an image's first box."""
    return the_train_part(read_splits(path))


def _names_in(file: Path, found: Pictures) -> set[str]:
    """Image names listed in a file, with or without their suffix."""
    listed_names = {line.strip() for line in read_lines(file) if line.strip()}
    return {name for name in found.objects if name in listed_names or PurePosixPath(name).stem in listed_names}


def _places(header: list[str]) -> dict[str, int] | None:
    """Where the image, the corners, the label and the sizes stand."""
    columns = {name.strip().lower(): place for place, name in enumerate(header)}
    image, label = (next((name for name in known if name in columns), None) for known in (_IMAGES, _LABELS))
    corners = next((names for names in _CORNERS if all(name in columns for name in names)), None)
    if image is None or label is None or corners is None:
        return None
    found = {"image": columns[image], "label": columns[label]}
    found |= {key: columns[name] for key, name in zip(_CORNERS[0], corners, strict=True)}
    return found | {name: columns[name] for name in ("width", "height") if name in columns}


def _gathered(path: Path) -> Pictures:
    rows = csv.reader(_lines(path), strict=True)
    places = _places(next(rows, []))
    if places is None:
        raise UserError(f"{path} is no table of boxes", expected="columns image, xmin, ymin, xmax, ymax and label")
    found = Pictures(str(path))
    try:
        for row in rows:
            if row:
                _add(found, rows.line_num, row, places)
    except csv.Error as error:
        raise UserError(f"{path}, line {rows.line_num}: {error}", try_=f"mend line {rows.line_num}") from None
    if not found.objects:
        raise UserError(f"{path} has a header and no rows", expected="at least one box")
    return found


def _add(found: Pictures, line: int, row: list[str], places: dict[str, int]) -> None:
    if len(row) <= max(places.values()):
        raise UserError(f"{found.source}, line {line}: {len(row)} fields", expected="as many as the header has")
    cells = {key: row[place].strip() for key, place in places.items()}
    numbers = {key: as_number(cells[key]) for key in (*_CORNERS[0], "width", "height") if cells.get(key)}
    wrong = [key for key, value in numbers.items() if value is None]
    if wrong or not cells["image"]:
        raise UserError(
            f"{found.source}, line {line}: " + (f"{wrong[0]} is '{cells[wrong[0]]}'" if wrong else "no image is named"),
            expected="an image and numbers in pixels",
        )
    width, height = numbers.get("width"), numbers.get("height")
    found.add_image(cells["image"], line, (width, height) if width and height else None)
    corners = [value for key in _CORNERS[0] if (value := numbers.get(key)) is not None]
    if not corners and not cells["label"]:
        return  # an image without objects
    if len(corners) != 4 or not cells["label"]:
        raise UserError(
            f"{found.source}, line {line}: a box without all its corners or its label", expected="four corners and a label"
        )
    found.add_object(cells["image"], line, corners, cells["label"])


def _lines(path: Path) -> Iterator[str]:
    """The lines of the file, unpacked where it is gzipped."""
    if path.suffix.lower() != ".gz":
        yield from read_lines(path)
        return
    try:
        with gzip.open(path) as file:
            content = file.read(_LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is not a whole gzip file: {error}", try_="download it again") from None
    if len(content) > _LARGEST:
        raise UserError(f"{path} unpacks to more than {_LARGEST:,} bytes", expected="a table of boxes", try_="gunzip it and look")
    try:
        yield from io.StringIO(content.decode("utf-8-sig"), newline="")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte 0x{content[error.start]:02x} is not UTF-8", expected="text in UTF-8") from None
