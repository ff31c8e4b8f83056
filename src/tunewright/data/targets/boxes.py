"""Boxes around the objects of each image, in pixels from its upper left corner, each with the name of its class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.types import Labels, Task
from tunewright.data.columns import find
from tunewright.data.labels import Where, label_name, label_positions
from tunewright.data.schema import Schema
from tunewright.data.table import Table

_EXPECTED = '{"box": [left, top, right, bottom], "label": name} for each object'


def read(table: Table, schema: Schema) -> list[Any]:
    """The objects of each row; an empty list where an image has none."""
    if len(schema.target) > 1:
        raise UserError(f"{len(schema.target)} columns of objects were named", expected="one")
    cells = table.column(find(table, schema.target[0], "target")[0])
    return [[] if cell is None else cell for cell in cells]


def faults(values: Sequence[Any], task: Task, where: Where) -> list[UserError]:
    """Rows whose objects are not written as they should be, or have no area; and no object at all."""
    wrong = [row for row, value in enumerate(values) if not (isinstance(value, list) and all(map(_is_object, value)))]
    if wrong:
        return [UserError(f"{where(wrong)}: {values[wrong[0]]!r:.120} is no list of objects", expected=_EXPECTED)]
    return [] if any(values) else [UserError("no image has an object", expected=_EXPECTED)]


def _is_object(one: Any) -> bool:
    if not isinstance(one, dict) or not {"box", "label"} <= set(one) or one["label"] in (None, ""):
        return False
    box = one["box"]
    numbers = isinstance(box, (list, tuple)) and len(box) == 4 and all(isinstance(side, (int, float)) for side in box)
    return numbers and all(map(math.isfinite, box)) and box[2] > box[0] and box[3] > box[1]


def labels(values: Sequence[Any], task: Task, names: Sequence[str]) -> Labels:
    """All classes by name."""
    return Labels(task, tuple(sorted({label_name(one["label"]) for value in values for one in value})))


def encode(values: Sequence[Any], labels: Labels, where: Where) -> np.ndarray:
    """(boxes (k, 4), numbers of classes (k,)) of each image, (n,) objects."""
    flat = label_positions([(row, label_name(one["label"])) for row, value in enumerate(values) for one in value], labels, where)
    classes = np.split(np.array(flat, dtype=np.int64), np.cumsum([len(value) for value in values])[:-1])
    boxes = (np.array([one["box"] for one in value], dtype=np.float64).reshape(-1, 4) for value in values)
    return object_array(zip(boxes, classes, strict=True))
