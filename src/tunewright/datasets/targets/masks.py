"""A mask for each image: a picture without loss whose pixel values are numbers of classes; 255 is of no class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.optional_packages import require
from tunewright.core.types import Labels
from tunewright.datasets import media
from tunewright.datasets.columns import find
from tunewright.datasets.formats.image_files import strict
from tunewright.datasets.labels import Where
from tunewright.datasets.schema import Schema
from tunewright.datasets.table import Table, listed

NO_CLASS = 255  # as Pascal VOC marks borders (Everingham et al. 2010, section 3.3)
_MODES = ("1", "L", "P")
_FORMATS = ("PNG", "BMP", "GIF", "TIFF", "PPM")  # JPEG changes the values


@dataclass(frozen=True)
class Mask:
    """A mask where it lies; as text it is its digest."""

    content: Any

    def __str__(self) -> str:
        return media.digest(self.content).hex()

    def pixels(self) -> np.ndarray:
        """Numbers of classes, (height, width) uint8; what is no mask is ``UnreadableError``."""
        image = require("PIL.Image", "image", "images")
        with media.opened(self.content) as file:
            try:
                with image.open(file, formats=_FORMATS) as picture:
                    if picture.mode not in _MODES:
                        raise media.UnreadableError(
                            f"has the colour model {picture.mode}: save numbers of classes, one per pixel"
                        )
                    return np.asarray(picture).astype(np.uint8)
            except media.UnreadableError:
                raise
            except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
                raise media.UnreadableError(f"is no mask without loss, such as PNG ({str(error)[:80]})") from None


def read(table: Table, schema: Schema) -> list[Mask]:
    """The mask of each row; one that does not exist is a ``UserError``."""
    if len(schema.target) > 1:
        raise UserError(f"{len(schema.target)} columns of masks were named", expected="one")
    name = find(table, schema.target[0], "target")[0]
    return [Mask(content) for content in media.located(table, name, lambda cell: None)]


def _decoded(values: Sequence[Mask], where: Where) -> list[np.ndarray]:
    with strict():
        found = media.each(Mask.pixels, values)
    media.refuse(found, lambda row: media.name_of(values[row].content), where)
    return [one for one in found if not isinstance(one, str)]


def faults(values: Sequence[Mask], task: str, where: Where) -> list[UserError]:
    """None: masks that cannot be read are refused when they are."""
    return []


def labels(values: Sequence[Mask], task: str, names: Sequence[str]) -> Labels:
    """The numbers that occur, in their order."""
    seen = np.zeros(256, dtype=bool)
    for mask in _decoded(values, media.numbered):
        seen[np.unique(mask)] = True
    seen[NO_CLASS] = False
    if seen.sum() < 2:
        raise UserError(f"the masks hold {int(seen.sum())} class", expected="two or more numbers, such as 0 for the background")
    return Labels(task, tuple(str(number) for number in np.flatnonzero(seen)))


def encode(values: Sequence[Mask], labels: Labels, where: Where) -> np.ndarray:
    """Places of classes among the names, (n,) objects of (height, width) uint8."""
    places = np.full(256, NO_CLASS - 1, dtype=np.uint8)
    places[[int(name) for name in labels.names]] = np.arange(len(labels.names))
    places[NO_CLASS] = NO_CLASS
    found = [places[mask] for mask in _decoded(values, where)]
    strange = [row for row, mask in enumerate(found) if len(labels.names) < NO_CLASS - 1 and (mask == NO_CLASS - 1).any()]
    if strange:
        raise UserError(
            f"{where(strange)}: masks with numbers that train does not have", expected=f"among {listed(labels.names, shown=12)}"
        )
    return object_array(found)
