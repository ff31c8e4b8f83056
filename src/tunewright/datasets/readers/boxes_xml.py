"""Boxes in Pascal VOC's files: a folder with one XML file for each image, as most annotation tools write them.

Source: Everingham et al. 2010, The Pascal Visual Object Classes (VOC) Challenge, section 2.4.
When: detection data in folders ``Annotations`` and ``JPEGImages``, or XML files beside their images. When not: masks.
Relatives: coco, boxes_csv.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as Xml

from tunewright.core.errors import UserError
from tunewright.datasets.bounding_boxes import Pictures
from tunewright.datasets.formats.decoding import read_text
from tunewright.datasets.table import Table

SUFFIXES: tuple[str, ...] = ()  # a folder, known by its files
_FOLDER, _IMAGES, _LISTS = "Annotations", "JPEGImages", "ImageSets/Main"
_PARTS = ("train", "val", "test")
_BEGINNING = 1024  # bytes of a file in which its root stands
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def recognizes(path: Path) -> bool:
    """Whether a folder, or the one in it that has VOC's name, holds XML files that annotate."""
    first = min(_annotations(path).glob("*.xml"), default=None) if path.is_dir() else None
    if first is None:
        return False
    with first.open("rb") as file:
        return b"<annotation" in file.read(_BEGINNING)


def read_splits(path: Path) -> dict[str, Table]:
    """The parts that VOC's lists name, or all images as train."""
    pictures = _pictures(path)
    lists = {part: path / _LISTS / f"{part}.txt" for part in _PARTS}
    found = {}
    for part, file in lists.items():
        if file.is_file():
            wanted = {line.split()[0] for line in read_text(file).splitlines() if line.strip()}
            names = [name for name in pictures.objects if Path(name).stem in wanted]
            found[part] = pictures.table(path / _FOLDER, names, str(path))
    return found if "train" in found else {"train": pictures.table(path / _FOLDER)}


def read(path: Path) -> Table:
    """Columns image, objects, width and height of all images; corners are counted from 1 there and from 0 here."""
    return _pictures(path).table(path / _FOLDER)


def _annotations(path: Path) -> Path:
    return path / _FOLDER if (path / _FOLDER).is_dir() else path


def _pictures(path: Path) -> Pictures:
    found = Pictures(str(path), "file")
    for number, file in enumerate(sorted(_annotations(path).glob("*.xml")), 1):
        root = _parsed(file)
        name = _text(root, "filename", file)
        place = next((folder / name for folder in (path / _IMAGES, file.parent, path) if (folder / name).is_file()), None)
        if place is None:
            raise UserError(
                f"{file} names the image '{name}', which is not there", expected=f"it in {path / _IMAGES} or beside it"
            )
        image = place.relative_to(path).as_posix()
        size = root.find("size")
        sides = None if size is None else (_number(size, "width", file), _number(size, "height", file))
        found.add_image(image, number, sides if sides and min(sides) > 0 else None)
        for one in root.iter("object"):
            box = one.find("bndbox")
            if box is None:
                raise UserError(f"{file}: an object has no bndbox", expected=" ".join(_CORNERS))
            left, top, right, bottom = (_number(box, corner, file) for corner in _CORNERS)
            found.add_object(image, number, (left - 1, top - 1, right, bottom), _text(one, "name", file))
    return found


def _parsed(file: Path) -> Xml.Element:
    """The root of a file; one that declares entities is refused before it is parsed, for they may grow without end."""
    text = read_text(file)
    if "<!ENTITY" in text or "<!DOCTYPE" in text:
        raise UserError(f"{file} declares a document type", expected="plain elements, as VOC has them")
    try:
        return Xml.fromstring(text.removeprefix("\ufeff"))
    except Xml.ParseError as error:
        raise UserError(f"{file} is no XML: {error}", expected="one annotation in each file") from None


def _text(element: Xml.Element, key: str, file: Path) -> str:
    found = (element.findtext(key) or "").strip()
    if not found:
        raise UserError(f"{file}: <{element.tag}> has no <{key}>", expected="an annotation as VOC has it")
    return found


def _number(element: Xml.Element, key: str, file: Path) -> float:
    text = _text(element, key, file)
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{file}: <{key}> is '{text}'", expected="a number of pixels") from None
