"""Boxes around the objects of each image, in pixels from its upper left corner, each with the name of its class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets.columns import find
from tunewright.datasets.labels import Where, label_name, label_positions
from tunewright.datasets.schema import Schema
from tunewright.datasets.table import Table

_EXPECTED = '{"box": [left, top, right, bottom], "label": name} for each object'


def read(table: Table, schema: Schema) -> list[Any]:
    """The objects of each row; an empty list where an image has none."""
    if len(schema.target) > 1:
        raise UserError(f"{len(schema.target)} columns of objects were named", expected="one")
    cells = table.column(find(table, schema.target[0], "target")[0])
    return [[] if cell is None else cell for cell in cells]


def faults(values: Sequence[Any], task: str, where: Where) -> list[UserError]:
    """Rows whose objects are not written as they should be, or have no area; and no object at all."""
    said = {row: wrong for row, value in enumerate(values) if (wrong := _wrong(value)) is not None}
    if said:
        return [UserError(f"{where(list(said))}: {next(iter(said.values()))}", expected=_EXPECTED)]
    return [] if any(values) else [UserError("no image has an object", expected=_EXPECTED)]


def _wrong(value: Any) -> str | None:
    """What is wrong with an image's objects, the first of it; None where nothing is."""
    if not isinstance(value, list):
        return f"{value!r:.80} is no list of objects"
    found = ((place, one, _fault(one)) for place, one in enumerate(value, 1))
    return next((f"object {place} of {len(value)}, {one!r:.80}, {fault}" for place, one, fault in found if fault), None)


def _fault(one: Any) -> str | None:
    if not isinstance(one, dict) or not {"box", "label"} <= set(one):
        return "is no box with a label"
    if one["label"] in (None, ""):
        return "has an empty label"
    box = one["box"]
    if not (isinstance(box, (list, tuple)) and len(box) == 4 and all(isinstance(side, (int, float)) for side in box)):
        return "has a box that is no four numbers"
    if not all(map(math.isfinite, box)) or box[2] <= box[0] or box[3] <= box[1]:
        return "has a box without an area"
    return None


def labels(values: Sequence[Any], task: str, names: Sequence[str]) -> Labels:
    """All classes by name."""
    return Labels(task, tuple(sorted({label_name(one["label"]) for value in values for one in value})))


def encode(values: Sequence[Any], labels: Labels, where: Where) -> np.ndarray:
    """(boxes (k, 4), numbers of classes (k,)) of each image, (n,) objects."""
    flat = label_positions([(row, label_name(one["label"])) for row, value in enumerate(values) for one in value], labels, where)
    classes = np.split(np.array(flat, dtype=np.int64), np.cumsum([len(value) for value in values])[:-1])
    boxes = (np.array([one["box"] for one in value], dtype=np.float64).reshape(-1, 4) for value in values)
    return object_array(zip(boxes, classes, strict=True))
