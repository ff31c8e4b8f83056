"""Images as one array of 8-bit pixels, resized and cropped once as the model's processor says, normalized in each batch.

Source: Dosovitskiy et al. 2021, ViT, section 3.1 (patches); He et al. 2016, ResNet, section 3.4 (shorter side and centre crop).
When: a model that reads pixel_values of one size. When not: models that read pictures of any size or in tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tunewright.config.augmentation import Augmentation, Mixing
from tunewright.core.errors import UserError
from tunewright.core.optional_packages import require
from tunewright.core.types import Finding
from tunewright.datasets import media
from tunewright.datasets.columns import find, folded
from tunewright.datasets.formats.class_folders import IMAGE_SUFFIXES
from tunewright.datasets.formats.image_files import REMARKS, check, decode, strict
from tunewright.datasets.media_columns import media_column
from tunewright.datasets.schema import guess_target, guess_task
from tunewright.datasets.table import Table
from tunewright.modalities.image.augment import augment
from tunewright.modalities.large_arrays import MEMORY, room
from tunewright.modalities.processor_files import read_preparation

if TYPE_CHECKING:
    from torch import Tensor

RECOGNITION_ORDER = 120
TOKENIZED = False
SCRATCH_LOADING = None

_NAMES = frozenset(
    (
        "image",
        "images",
        "img",
        "picture",
        "photo",
        "file",
        "path",
        "filename",
        "file_name",
        "filepath",
        "image_path",
        "image_file",
    )
)
_TASKS: tuple[str, ...] = (
    "classification",
    "multi_label",
    "ordinal",
    "multi_task",
    "regression",
    "semantic_segmentation",
    "object_detection",
)
_MASKS = frozenset(("mask", "masks", "segmentation", "segmentation_mask", "annotation", "label_map"))
_ROWS_AT_ONCE = 256  # when hashing
_PATCH = 16  # pixels per side of what counts as one patch (ViT-Base/16)

_BILINEAR, _BICUBIC = 2, 3  # Pillow's numbers, which processors' files use
# Processors whose settings say all they do, with what each does where its file is silent: the filter, whether a plain number is
# a square's side or the shorter one's, and whether the centre is cropped.
_KINDS = {
    "Beit": (_BICUBIC, True, False),
    "Bit": (_BICUBIC, False, True),
    "ChineseCLIP": (_BICUBIC, False, True),
    "CLIP": (_BICUBIC, False, True),
    "ConvNext": (_BICUBIC, False, False),
    "DeiT": (_BICUBIC, True, True),
    "Levit": (_BICUBIC, False, True),
    "MobileNetV1": (_BILINEAR, False, True),
    "MobileNetV2": (_BILINEAR, False, True),
    "MobileViT": (_BICUBIC, False, True),
    "OwlViT": (_BICUBIC, True, False),
    "Pvt": (_BILINEAR, True, False),
    "Segformer": (_BILINEAR, True, False),
    "Siglip": (_BICUBIC, False, False),
    "ViT": (_BILINEAR, True, False),
}
# Detectors' processors keep the proportions and fill up; here the whole image gets the shorter side's length both ways.
_SQUARED = ("Yolos", "Detr", "ConditionalDetr", "DeformableDetr", "RTDetr")
_KINDS |= dict.fromkeys(_SQUARED, (_BILINEAR, True, False))
_UNSUPPORTED = ("rescale_offset", "do_pad", "do_image_splitting")


@dataclass(frozen=True)
class ImagePreprocessing:
    """What a model wants of a picture: resize, then crop the centre to (height, width), then scale and normalize.

    ``resize`` is the exact (height, width), ``shortest_edge`` the shorter side with the other in proportion; neither: as it is.
    ``resample`` is Pillow's number of the filter; ``rescale`` the factor on 0 … 255, None for none; ``mean`` and ``std``
    are per channel, empty for none; ``flip`` reverses the order of the channels.
    """

    height: int
    width: int
    resize: tuple[int, int] | None = None
    shortest_edge: int | None = None
    crop: bool = False
    resample: int = _BILINEAR
    rescale: float | None = 1 / 255
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channels: int = 3
    flip: bool = False

    @classmethod
    def from_processor_config(cls, config: Mapping[str, Any]) -> ImagePreprocessing:
        """The settings in a processor's ``preprocessor_config.json``; what cannot be done alike is a ``UserError``."""
        kind = _kind(config)
        config = _squared(config) if kind in _SQUARED else config
        _refuse_unsupported(kind, config)
        own_filter, square, crops = _KINDS[kind]
        size = _sides(config.get("size", 224), "size", square=square)
        resize, edge = (None, None) if not config.get("do_resize", True) else _resizing(size)
        crop = None
        if kind == "ConvNext" and edge is not None:
            crop = (edge, edge)
            ratio = config.get("crop_pct") or 224 / 256
            resize, edge = (None, int(edge / ratio)) if edge < 384 else ((edge, edge), None)
        elif kind == "Levit" and edge is not None:
            edge = int((256 / 224) * edge)
        if config.get("do_center_crop", crops):
            crop = _resizing(_sides(config.get("crop_size", config.get("size", 224)), "crop_size", square=True))[0]
        normalize = kind != "MobileViT" and bool(config.get("do_normalize", "image_mean" in config))
        mean, std = (_per_channel(config.get(key)) if normalize else () for key in ("image_mean", "image_std"))
        if len(mean) != len(std) or (normalize and not mean):
            raise UserError(
                "the image processor normalizes without a mean and spread for each channel", expected="image_mean, image_std"
            )
        final = crop or resize or (size if isinstance(size, tuple) else None)
        if final is None:
            raise UserError(
                f"the image processor makes images of unequal size: size {config.get('size')} and no centre crop",
                expected="a height and a width, or a crop_size",
            )
        rescale = float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else None
        resample = config.get("resample", own_filter)
        if isinstance(resample, bool) or not isinstance(resample, int) or not 0 <= resample <= 5:
            raise UserError(f"the image processor's resample is {resample!r}", expected="Pillow's number of a filter, 0 to 5")
        flip = kind == "MobileViT" and bool(config.get("do_flip_channel_order", True))
        return cls(*final, resize, edge, crop is not None, resample, rescale, mean, std, len(mean) or 3, flip)

    def to_dict(self) -> dict[str, Any]:
        """The same as a ``preprocessor_config.json`` that transformers opens and that makes the same pixels."""
        size = (
            {"shortest_edge": self.shortest_edge}
            if self.shortest_edge
            else dict(zip(("height", "width"), self.resize or (self.height, self.width), strict=True))
        )
        config: dict[str, Any] = {
            "image_processor_type": "MobileViTImageProcessor" if self.flip else "ViTImageProcessor",
            "do_convert_rgb": self.channels == 3,
            "do_resize": bool(self.resize or self.shortest_edge),
            "size": size,
            "resample": self.resample,
            "do_center_crop": self.crop,
            "do_rescale": self.rescale is not None,
            "rescale_factor": self.rescale if self.rescale is not None else 1 / 255,
            "do_normalize": bool(self.mean),
            "image_mean": list(self.mean) or [0.0] * self.channels,
            "image_std": list(self.std) or [1.0] * self.channels,
        }
        if self.crop:
            config["crop_size"] = {"height": self.height, "width": self.width}
        if self.flip:
            config["do_flip_channel_order"] = True
        return config

    def apply(self, picture: Any) -> np.ndarray:
        """One upright picture as (channels, height, width) uint8; one of a wrong size is ``UnreadableError``."""
        width, height = picture.size
        if self.resize is not None:
            wanted = self.resize
        elif self.shortest_edge is not None:
            short, long = min(width, height), max(width, height)
            longer = int(self.shortest_edge * long / short)
            wanted = (longer, self.shortest_edge) if width <= height else (self.shortest_edge, longer)
        else:
            wanted = (height, width)
        if wanted != (height, width):
            picture = picture.resize((wanted[1], wanted[0]), resample=self.resample)
        if wanted != (self.height, self.width):
            if not self.crop:
                raise media.UnreadableError(f"has {width} x {height} pixels where the model reads {self.width} x {self.height}")
            top, left = (wanted[0] - self.height) // 2, (wanted[1] - self.width) // 2
            picture = picture.crop((left, top, left + self.width, top + self.height))  # black where it is too small
        pixels = np.asarray(picture)
        pixels = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)
        return pixels[::-1] if self.flip else pixels

    @cached_property
    def affine(self) -> tuple[np.ndarray, np.ndarray]:
        """Factor and offset of each channel that turn 0 … 255 into what the model reads, both (channels,) float32."""
        scale = 1.0 if self.rescale is None else self.rescale
        mean = np.array(self.mean or [0.0] * self.channels)
        std = np.array(self.std or [1.0] * self.channels)
        return (scale / std).astype(np.float32), (-mean / std).astype(np.float32)


def _kind(config: Mapping[str, Any]) -> str:
    """'ViT' of 'ViTImageProcessorFast' or 'ViTFeatureExtractor'."""
    name = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "ViT")
    for ending in ("Fast", "Pil", "ImageProcessor", "FeatureExtractor"):
        name = name.removesuffix(ending)
    if name not in _KINDS:
        raise UserError(
            f"the image processor '{name}' does more than its settings tell",
            expected=f"one of {', '.join(sorted(_KINDS))}",
            try_="a model with one of these processors",
        )
    return name


def _squared(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """A detector's settings with one size for all images and nothing to fill up."""
    size = config.get("size")
    if isinstance(size, Mapping) and size.get("shortest_edge"):
        size = {"height": size["shortest_edge"], "width": size["shortest_edge"]}
    return {**config, "do_pad": False, **({} if size is None else {"size": size})}


def _refuse_unsupported(kind: str, config: Mapping[str, Any]) -> None:
    wrong = [key for key in _UNSUPPORTED if config.get(key)]
    if config.get("crop_pct") is not None and kind != "ConvNext":
        wrong.append("crop_pct")
    if wrong:
        raise UserError(
            f"the image processor {kind} has {', '.join(wrong)}, which is not done here", expected="resize, crop, normalize"
        )


def _sides(size: Any, key: str, *, square: bool) -> tuple[int, int] | int:
    """(height, width), or the length of the shorter side; an old file's plain number means a square or the shorter side."""
    if isinstance(size, (list, tuple)) and len(size) == 2:
        size = {"height": size[0], "width": size[1]}
    if isinstance(size, int) and not isinstance(size, bool):
        size = {"height": size, "width": size} if square else {"shortest_edge": size}
    if isinstance(size, Mapping):
        if size.get("shortest_edge") and not size.get("longest_edge"):
            return _side(size["shortest_edge"], key)
        if size.get("height") and size.get("width"):
            return _side(size["height"], key), _side(size["width"], key)
    raise UserError(f"the image processor's {key} is {size!r}", expected='{"height": …, "width": …} or {"shortest_edge": …}')


def _side(value: Any, key: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 8192:
        raise UserError(f"the image processor's {key} has a side of {value!r}", expected="pixels from 1 to 8192")
    return value


def _resizing(size: tuple[int, int] | int) -> tuple[tuple[int, int] | None, int | None]:
    return (None, size) if isinstance(size, int) else (size, None)


def _per_channel(values: Any) -> tuple[float, ...]:
    found = tuple(map(float, values)) if isinstance(values, (list, tuple)) else ()
    if len(found) not in (0, 1, 3):
        raise UserError(f"the image processor normalizes {len(found)} channels", expected="1 or 3")
    return found


@dataclass(frozen=True)
class Encoded:
    """n images as 8-bit pixels; a subset shares them. ``rows[i]`` is the place of example i in ``pixels``."""

    pixels: np.ndarray  # (stored, channels, height, width) uint8, in memory or in a file
    rows: np.ndarray  # (n,) int64
    preprocessing: ImagePreprocessing
    augmentation: Augmentation = field(default_factory=Augmentation)
    mixing: Mixing = field(default_factory=Mixing)  # done where the targets are: training/step.py
    patch: int = _PATCH
    truncated: ClassVar[int] = 0

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Patches of each image, (n,) int64."""
        patches = max(1, self.pixels.shape[2] // self.patch) * max(1, self.pixels.shape[3] // self.patch)
        return np.full(len(self.rows), patches, dtype=np.int64)

    @property
    def varies(self) -> bool:
        return self.augmentation.active or self.mixing.active

    def augmented(self, augmentation: Augmentation, mixing: Mixing) -> Encoded:
        """The same images, changed at random in batches for training."""
        return replace(self, augmentation=augmentation, mixing=mixing)

    def subset(self, rows: np.ndarray) -> Encoded:
        """Some rows, in the order given; the pixels are shared."""
        return replace(self, rows=self.rows[rows])

    def collate(self, rows: np.ndarray, *, training: bool = False) -> dict[str, Tensor]:
        """pixel_values (batch, channels, height, width) float32, normalized; augmented only in ``training``."""
        import torch

        pixels = torch.from_numpy(self.pixels[self.rows[rows]]).to(torch.float32)
        factor, offset = (torch.from_numpy(part).view(1, -1, 1, 1) for part in self.preprocessing.affine)
        if training and self.augmentation.active:
            pixels, factor = augment(pixels.div_(255), self.augmentation), factor * 255
        return {"pixel_values": pixels.mul_(factor).add_(offset)}

    def arrays(self) -> Iterable[np.ndarray]:
        """Pixels in pieces, and what they are multiplied with."""
        yield from self.preprocessing.affine
        for start in range(0, len(self.rows), _ROWS_AT_ONCE):
            yield self.pixels[self.rows[start : start + _ROWS_AT_ONCE]]


def recognize(table: Table, named: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], str] | None:
    """A column of pictures (paths, bytes or arrays) beside what is to be learnt of them."""
    if named.get("task") not in (None, *_TASKS):
        return None
    image = media_column(table, named, "image", _NAMES, holds_picture, _MASKS)
    if image is None:
        return None
    free = [name for name in table.columns if name != image and name not in named.get("side", ())]
    of_boxes = [name for name in free if all(map(_holds_boxes, table.columns[name]))]
    of_masks = [name for name in free if folded(name) in _MASKS and all(map(holds_picture, table.columns[name]))]
    wanted = tuple(named.get("target") or ())
    if named.get("task") in (None, "object_detection") and len(of_boxes) == 1 and wanted in ((), tuple(of_boxes)):
        return (image,), tuple(of_boxes), "object_detection"
    if named.get("task") in (None, "semantic_segmentation") and len(of_masks) == 1 and wanted in ((), tuple(of_masks)):
        return (image,), tuple(of_masks), "semantic_segmentation"
    target = wanted or guess_target(table, free)
    return (image,), target, named.get("task") or guess_task([table.columns[name] for name in target], 1)


def _holds_boxes(cell: Any) -> bool:
    """Whether a cell is a list of objects, each with its box and label; it may be empty."""
    return isinstance(cell, list) and all(isinstance(one, dict) and {"box", "label"} <= set(one) for one in cell)


def holds_picture(cell: Any) -> bool:
    """Whether a cell may be a picture: a path with a picture's ending, bytes, or an array of two or three axes."""
    if isinstance(cell, dict):
        return set(cell) <= {"bytes", "path"} and (isinstance(cell.get("bytes"), bytes) or holds_picture(cell.get("path")))
    if isinstance(cell, (str, Path)):
        return Path(cell).suffix.lower() in IMAGE_SUFFIXES
    return isinstance(cell, bytes) or (isinstance(cell, np.ndarray) and cell.ndim in (2, 3))


def read(table: Table, columns: tuple[str, ...], findings: list[Finding] | None = None) -> list[tuple[Any, ...]]:
    """The image of each row: a path, a file of an archive, bytes, or a uint8 array (H, W) or (H, W, C).

    Every file is read through; all faults are told together with their rows. What was converted is added to ``findings``.
    """
    require("PIL.Image", "image", "images")
    if len(columns) != 1:
        raise UserError(f"{len(columns)} image columns were named", expected="one")
    cells = media.located(table, find(table, columns[0], "text")[0], _own)
    distinct = {id(cell): cell for cell in cells}  # a path that several rows name is one object
    with strict():
        checked: list[tuple[str, ...] | str] = media.each(check, list(distinct.values()))
    by_cell = dict(zip(distinct, checked, strict=True))
    outcomes = [by_cell[id(cell)] for cell in cells]
    media.refuse(outcomes, lambda row: shown((cells[row],)), table.where)
    if findings is not None:
        findings += media.remarked(outcomes, REMARKS, "images", table)
    return [(cell,) for cell in cells]


def _own(cell: Any) -> np.ndarray | None:
    return cell if isinstance(cell, np.ndarray) else None


def encode(
    inputs: Sequence[tuple[Any, ...]],
    processor: ImagePreprocessing,
    *,
    patch: int = _PATCH,
    memory: int = MEMORY,
    folder: Path | None = None,
    where: Callable[[Sequence[int]], str] = media.numbered,
) -> Encoded:
    """Decode every image once, in threads; ``where`` words the rows of what cannot be decoded.

    Above ``memory`` bytes the pixels lie in a file in ``folder``.
    """
    shape = (len(inputs), processor.channels, processor.height, processor.width)
    pixels = room(shape, np.uint8, memory=memory, folder=folder)

    def fill(row: int) -> None:
        pixels[row] = processor.apply(decode(inputs[row][0], processor.channels))

    with strict():
        outcomes = media.each(fill, range(len(inputs)))
    media.refuse(outcomes, lambda row: shown(inputs[row]), where)
    return Encoded(pixels, np.arange(len(inputs)), processor, patch=patch)


def shown(row: tuple[Any, ...]) -> str:
    """The image's path, or its size, for tables."""
    (cell,) = row
    return "array " + "×".join(map(str, cell.shape)) if isinstance(cell, np.ndarray) else media.name_of(cell)


def key(row: tuple[Any, ...]) -> bytes:
    """SHA-256 of the image's file or values, the same for exact duplicates."""
    (cell,) = row
    if isinstance(cell, np.ndarray):
        return media.digest(f"{cell.dtype} {cell.shape} ".encode() + np.ascontiguousarray(cell).tobytes())
    return media.digest(cell)


def load_processor(folder: Path, config: Any) -> ImagePreprocessing:
    """The preparation of images that the model folder declares."""
    found: ImagePreprocessing = read_preparation(folder, "image", ImagePreprocessing.from_processor_config, ("image_processor",))
    return found
