"""Videos as frames spread evenly over them: a folder of pictures, a GIF or WebP that moves, or an array of frames.

Source: Wang et al. 2016, Temporal Segment Networks, section 3.1 (one frame of each of equal segments; here its middle one).
When: what is shown tells the class. When not: the order of movements does, which a mean over frames does not see.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tunewright.core.errors import UserError
from tunewright.core.optional_packages import require
from tunewright.datasets import media
from tunewright.datasets.columns import find, named
from tunewright.datasets.formats.class_folders import IMAGE_SUFFIXES
from tunewright.datasets.formats.image_files import decode, frame_count, moving_frames, strict
from tunewright.datasets.schema import guess_target, guess_task
from tunewright.datasets.table import Table
from tunewright.modalities.image import modality as image
from tunewright.modalities.large_arrays import room
from tunewright.modalities.processor_files import read_preparation

if TYPE_CHECKING:
    from torch import Tensor

RECOGNITION_ORDER = 100
TOKENIZED = False
SCRATCH_LOADING = None

_NAMES = frozenset(("video", "videos", "frames", "clip", "animation"))
_MOVING = frozenset((".gif", ".webp"))
_TASKS: tuple[str, ...] = ("classification", "multi_label", "ordinal", "multi_task", "regression")
_FRAMES = 8  # of each video where the model's processor says nothing (a guess)
_FRAME_AXES = 4  # frames, height, width, channels


@dataclass(frozen=True)
class VideoPreprocessing:
    """How each picture is prepared, and how many of each video are."""

    pictures: image.ImagePreprocessing
    frames: int = _FRAMES

    @classmethod
    def from_processor_config(cls, config: Mapping[str, Any]) -> VideoPreprocessing:
        """An image model's settings; ``num_frames`` is transformers' key for the rest."""
        frames = config.get("num_frames", _FRAMES)
        if isinstance(frames, bool) or not isinstance(frames, int) or not 1 <= frames <= 512:
            raise UserError(f"the processor's num_frames is {frames!r}", expected="a whole number from 1 to 512")
        return cls(image.ImagePreprocessing.from_processor_config(config), frames)

    def to_dict(self) -> dict[str, Any]:
        """The same as a file that transformers opens for each picture."""
        return {**self.pictures.to_dict(), "num_frames": self.frames}

    def example(self) -> dict[str, Tensor]:
        """One video of zeros."""
        import torch

        how = self.pictures
        return {"pixel_values": torch.zeros(1, self.frames, how.channels, how.height, how.width)}


@dataclass(frozen=True)
class Encoded:
    """n videos as frames behind one another, ``each`` of every video."""

    images: image.Encoded
    each: int
    truncated: ClassVar[int] = 0
    varies: ClassVar[bool] = False

    def __len__(self) -> int:
        return len(self.images) // self.each

    @property
    def lengths(self) -> np.ndarray:
        """Patches of all frames of each video, (n,)."""
        found: np.ndarray = self.images.lengths.reshape(-1, self.each).sum(1)
        return found

    def subset(self, rows: np.ndarray) -> Encoded:
        """Some videos, in the order given."""
        return replace(self, images=self.images.subset(self._places(rows)))

    def collate(self, rows: np.ndarray, *, training: bool = False) -> dict[str, Tensor]:
        """pixel_values (batch, frames, channels, height, width)."""
        made = self.images.collate(self._places(rows))["pixel_values"]
        return {"pixel_values": made.view(-1, self.each, *made.shape[1:])}

    def arrays(self) -> Iterable[np.ndarray]:
        """All that tells these videos from others."""
        yield np.array([self.each])
        yield from self.images.arrays()

    def _places(self, rows: np.ndarray) -> np.ndarray:
        found: np.ndarray = (np.asarray(rows, dtype=np.int64)[:, None] * self.each + np.arange(self.each)).ravel()
        return found


def recognize(table: Table, wanted: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], str] | None:
    """A column called video, frames or clip whose cells are folders, moving pictures or arrays; any, where the kind is named."""
    if wanted.get("task") not in (None, *_TASKS):
        return None
    asked, inputs = wanted.get("kind") == "video", tuple(wanted.get("text") or ())
    holding = [name for name in inputs or table.columns if table.columns[name] and all(map(holds_video, table.columns[name]))]
    found = holding if asked or inputs else named(holding, _NAMES)
    if len(found) != 1 or (inputs and not asked and not named(inputs, _NAMES)):
        return None
    free = [name for name in table.columns if name != found[0] and name not in wanted.get("side", ())]
    target = tuple(wanted.get("target") or guess_target(table, free))
    return (found[0],), target, wanted.get("task") or guess_task([table.columns[name] for name in target], 1)


def holds_video(cell: Any) -> bool:
    """Whether a cell may be a video: a path of a folder or of a moving picture, or an array (frames, height, width, channels)."""
    if isinstance(cell, (str, Path)):
        return Path(cell).suffix.lower() in _MOVING or (bool(str(cell).strip()) and not Path(cell).suffix)
    return isinstance(cell, np.ndarray) and cell.ndim == _FRAME_AXES


def read(table: Table, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Each row's pictures: paths in the order of their names, one moving picture, or an array; paths as in ``media.located``."""
    require("PIL.Image", "image", "images")
    if len(columns) != 1:
        raise UserError(f"{len(columns)} video columns were named", expected="one")
    base = media.base_of(Path(table.source))

    def own(cell: Any) -> Any:
        if isinstance(cell, np.ndarray):
            return cell
        return _in_folder(str(cell), base) if isinstance(cell, (str, Path)) and (base / cell).is_dir() else None

    found = media.located(table, find(table, columns[0], "text")[0], own)
    with strict():
        outcomes = media.each(_count, found)
    media.refuse(outcomes, lambda row: shown((found[row],)), table.where)
    return [(one,) for one in found]


def _in_folder(cell: str, base: Path) -> tuple[Path, ...]:
    """The pictures of a folder, numbers in their names in the order of counting."""
    folder = base / cell
    inside = Path(cell).is_absolute() or ".." in Path(cell).parts or folder.resolve().is_relative_to(base.resolve())
    if not inside:
        raise media.UnreadableError(f"names '{cell}', a link that leads out of {base}: name the folder itself")
    pictures = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")]
    if not pictures:
        raise media.UnreadableError(f"names the folder '{cell}', which holds no pictures")
    return tuple(
        sorted(
            pictures,
            key=lambda path: [
                (piece.isdigit(), int(piece) if piece.isdigit() else 0, piece) for piece in re.split(r"(\d+)", path.name)
            ],
        )
    )


def _count(video: Any) -> int:
    """Frames of a video."""
    return len(video) if isinstance(video, (tuple, np.ndarray)) else frame_count(video)


def spread(count: int, wanted: int) -> np.ndarray:
    """The middle frame of each of ``wanted`` equal parts of ``count`` frames, (wanted,); a short video repeats its frames."""
    places: np.ndarray = ((np.arange(wanted) + 0.5) * count / wanted).astype(np.int64)
    return places


def encode(
    inputs: Sequence[tuple[Any, ...]],
    processor: VideoPreprocessing,
    *,
    where: Callable[[Sequence[int]], str] = media.numbered,
) -> Encoded:
    """Decode the chosen frames of every video once, in threads; ``where`` words the rows of what cannot be decoded."""
    how, each = processor.pictures, processor.frames
    pixels = room((len(inputs) * each, how.channels, how.height, how.width), np.uint8)

    def fill(row: int) -> None:
        for place, picture in enumerate(_pictures(inputs[row][0], each, how.channels)):
            pixels[row * each + place] = how.apply(picture)

    with strict():
        outcomes = media.each(fill, range(len(inputs)))
    media.refuse(outcomes, lambda row: shown(inputs[row]), where)
    return Encoded(image.Encoded(pixels, np.arange(len(inputs) * each), how), each)


def _pictures(video: Any, wanted: int, channels: int) -> Iterable[Any]:
    places = spread(_count(video), wanted)
    if isinstance(video, (tuple, np.ndarray)):
        return (decode(video[place], channels) for place in places)
    return moving_frames(video, places.tolist(), channels)


def shown(row: tuple[Any, ...]) -> str:
    """The folder or file, or the array's size, for tables."""
    (video,) = row
    if isinstance(video, tuple):
        return str(video[0].parent)
    return "array " + "×".join(map(str, video.shape)) if isinstance(video, np.ndarray) else media.name_of(video)


def key(row: tuple[Any, ...]) -> bytes:
    """SHA-256 of all frames, the same for exact duplicates."""
    (video,) = row
    if isinstance(video, tuple):
        return media.digest(b"".join(map(media.digest, video)))
    return image.key(row)


def load_processor(folder: Path, config: Any) -> VideoPreprocessing:
    """The preparation of videos that the model folder declares."""
    keys = ("video_processor", "image_processor")
    found: VideoPreprocessing = read_preparation(folder, "video", VideoPreprocessing.from_processor_config, keys)
    return found
