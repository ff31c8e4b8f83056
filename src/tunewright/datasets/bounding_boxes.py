"""Boxes around objects in images: corners in pixels, cut to the image, what has no area left out and counted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunewright.core.errors import UserError
from tunewright.core.types import Finding
from tunewright.datasets.formats.archives import members
from tunewright.datasets.table import Table, listed

_BESIDE = ("", "images/", "JPEGImages/", "imgs/")  # where pictures usually lie, seen from the file that names them


@dataclass
class Pictures:
    """Objects gathered image by image; ``line`` of a fault is where it stands in the source."""

    source: str
    unit: str = "line"
    objects: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    sizes: dict[str, tuple[float, float]] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    empty: list[tuple[str, int]] = field(default_factory=list)
    cut: list[tuple[str, int]] = field(default_factory=list)

    def add_image(self, name: str, line: int, size: tuple[float, float] | None = None) -> None:
        """An image, with or without objects; ``size`` is (width, height)."""
        self.objects.setdefault(name, [])
        self.first.setdefault(name, line)
        if size is not None and self.sizes.setdefault(name, size) != size:
            raise UserError(
                f"{self.source}, {self.unit} {line}: '{name}' had another size before", expected="one size for each image"
            )

    def add_object(self, name: str, line: int, corners: Sequence[float], label: str) -> None:
        """A box (left, top, right, bottom) in pixels."""
        if not all(math.isfinite(corner) for corner in corners):
            raise UserError(f"{self.source}, {self.unit} {line}: a corner of a box is no number", expected="pixels")
        width, height = self.sizes.get(name, (math.inf, math.inf))
        left, right = (min(max(corner, 0.0), width) for corner in (corners[0], corners[2]))
        top, bottom = (min(max(corner, 0.0), height) for corner in (corners[1], corners[3]))
        if left >= right or top >= bottom:
            self.empty.append((name, line))
            return
        if (left, top, right, bottom) != tuple(corners):
            self.cut.append((name, line))
        self.objects[name].append({"box": [left, top, right, bottom], "label": label})

    def table(self, path: Path, names: Iterable[str] | None = None, source: str | None = None) -> Table:
        """One row for each image (all, or those named): image, objects and, where known, width and height."""
        wanted = set(self.objects if names is None else names)
        chosen = [name for name in self.objects if name in wanted]
        columns: dict[str, list[Any]] = {
            "image": pictures_beside(path, chosen),
            "objects": [self.objects[name] for name in chosen],
        }
        if all(name in self.sizes for name in chosen):
            columns["width"] = [self.sizes[name][0] for name in chosen]
            columns["height"] = [self.sizes[name][1] for name in chosen]
        rows = tuple(self.first[name] for name in chosen)
        return Table(columns, rows, source or self.source, self.unit, self._findings(wanted))

    def _findings(self, wanted: set[str]) -> tuple[Finding, ...]:
        """What was left out or cut of some images, with its lines."""
        found = []
        for code, said, places in (
            ("empty_boxes", "boxes without an area are left out", self.empty),
            ("cut_boxes", "boxes are cut to their image", self.cut),
        ):
            lines = [line for name, line in places if name in wanted]
            if lines:
                message = f"{self.source}, {self.unit}s {listed(lines)}: {len(lines)} {said}"
                found.append(Finding(code, message, "warning", tuple(lines), len(lines)))
        return tuple(found)


def pictures_beside(path: Path, names: Sequence[str]) -> list[str]:
    """Where the pictures that a file names lie: beside it, in a folder of images, or in an archive of them; else as named."""
    if not names:
        return []
    for folder in (*_BESIDE, f"{path.stem.removeprefix('instances_')}/"):
        if (path.parent / folder / names[0]).is_file():
            return [folder + name for name in names]
    for archive in sorted(path.parent.glob("*.zip")):
        inside = set(members(archive))
        for folder in _BESIDE:
            if folder + names[0] in inside:
                return [f"{archive.name}/{folder}{name}" for name in names]
    return list(names)
