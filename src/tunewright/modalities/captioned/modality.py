"""An image with a text that says what it shows: a caption, or the name of its class.

Source: Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision (CLIP), section 2.3 (pairs as
they are found) and 3.1.4 (class names in a template). When: pictures that are to be found or named by words.
When not: one answer from a fixed list, learned from many rows of each (classification of images).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.config.augmentation import Augmentation, Mixing
from tunewright.core.errors import UserError
from tunewright.core.types import Finding
from tunewright.datasets import media
from tunewright.datasets.columns import find, is_words, named
from tunewright.datasets.quality.duplicates import normalize
from tunewright.datasets.table import Table
from tunewright.modalities.image import modality as image
from tunewright.modalities.processor_files import load_tokenizer
from tunewright.modalities.text import modality as text

if TYPE_CHECKING:
    from torch import Tensor

RECOGNITION_ORDER = 90
TOKENIZED = False
SCRATCH_LOADING = None

_CAPTIONS = frozenset(("caption", "captions", "description", "alt_text"))
_TEXTS = frozenset(("text", "label", "class"))


@dataclass(frozen=True)
class Processor:
    """What makes both inputs of a network: its tokenizer, and the preparation of its images."""

    tokenizer: Any
    images: image.ImagePreprocessing

    @property
    def parts(self) -> tuple[Any, ...]:
        """Both, each saved as it would be alone."""
        return self.tokenizer, self.images

    @property
    def pad(self) -> int:
        """The token that fills texts up."""
        return self.tokenizer.pad_token_id or 0

    def example(self) -> dict[str, Tensor]:
        """One image of zeros and one short text."""
        import torch

        ids = torch.tensor([text.encode_texts(self.tokenizer, [("a",)], 8).row(0)])
        pixels = torch.zeros(1, self.images.channels, self.images.height, self.images.width)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": pixels}


@dataclass(frozen=True)
class Encoded:
    """n images and as many texts, filled up to one length.

    ``ids`` (n, 2): equal numbers are the same image (first) or the same text; None where pairs are only to be compared.
    ``masked``: the network is told which tokens are padding; one that is not was trained on texts of one length.
    """

    images: image.Encoded
    tokens: np.ndarray  # (n, tokens) int32
    real: np.ndarray  # (n, tokens) bool
    masked: bool
    truncated: int
    ids: np.ndarray | None

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def lengths(self) -> np.ndarray:
        """Patches and tokens of each pair, (n,)."""
        found: np.ndarray = self.images.lengths + self.tokens.shape[1]
        return found

    @property
    def varies(self) -> bool:
        return self.images.varies

    def augmented(self, augmentation: Augmentation, mixing: Mixing) -> Encoded:
        """The same pairs, whose images change at random in batches for training."""
        return replace(self, images=self.images.augmented(augmentation, mixing))

    def subset(self, rows: np.ndarray) -> Encoded:
        """Some pairs, in the order given."""
        ids = None if self.ids is None else self.ids[rows]
        return replace(
            self, images=self.images.subset(rows), tokens=self.tokens[rows], real=self.real[rows], ids=ids, truncated=0
        )

    def collate(self, rows: np.ndarray, *, training: bool = False) -> dict[str, Tensor]:
        """input_ids and attention_mask (batch, tokens), pixel_values (batch, channels, height, width)."""
        import torch

        made = {"input_ids": torch.from_numpy(self.tokens[rows].astype(np.int64))}
        if self.masked:
            made["attention_mask"] = torch.from_numpy(self.real[rows].astype(np.int64))
        return made | self.images.collate(rows, training=training)

    def arrays(self) -> Iterable[np.ndarray]:
        """All that tells these pairs from others."""
        yield from (self.tokens, self.real)
        yield from self.images.arrays()


def recognize(table: Table, wanted: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], str] | None:
    """A column of pictures beside one called caption; for the task by name beside a text, or a class, too."""
    task, texts = wanted.get("task"), (*(wanted.get("text") or ()), *(wanted.get("target") or ()))
    if task not in (None, "image_text_contrastive") or (task is None and texts):
        return None
    pictures = [name for name in texts or table.columns if _all_pictures(table.columns[name])]
    others = [name for name in texts if name not in pictures]
    if not others:
        free = [
            name for name in table.columns if name not in (*pictures, *wanted.get("side", ())) and is_words(table.columns[name])
        ]
        captions = named(free, _CAPTIONS)
        others = captions if task is None or captions else named(free, _TEXTS) or free
    if not pictures:
        pictures = [name for name in table.columns if _all_pictures(table.columns[name])]
    if len(pictures) != 1 or len(others) != 1:
        return None
    return (pictures[0], others[0]), (), "image_text_contrastive"


def _all_pictures(cells: list[Any]) -> bool:
    return bool(cells) and all(map(image.holds_picture, cells))


def read(table: Table, columns: tuple[str, ...], findings: list[Finding] | None = None) -> list[tuple[Any, ...]]:
    """Each row's image, as ``image.read`` gives it, and its text; an empty text is a ``UserError``."""
    pictures = image.read(table, columns[:1], findings)
    cells = table.column(find(table, columns[1], "text")[0])
    wrong = [index for index, cell in enumerate(cells) if not isinstance(cell, (str, int)) or not str(cell).strip()]
    if wrong:
        raise UserError(f"{table.where(wrong)}: '{columns[1]}' is {cells[wrong[0]]!r}", expected="text")
    return [(picture, str(cell)) for (picture,), cell in zip(pictures, cells, strict=True)]


def encode(
    inputs: Sequence[tuple[Any, ...]],
    processor: Processor,
    max_length: int,
    *,
    width: int | None = None,
    known: bool = True,
    where: Callable[[Sequence[int]], str] = media.numbered,
) -> Encoded:
    """Pixels of every distinct image once, and token ids.

    ``width``: texts are filled up to so many tokens for a network that is not told which are padding; None: to the longest.
    """
    pictures, places = _distinct([row[0] for row in inputs])
    firsts = (
        [places.index(number) for number in range(len(pictures))] if len(pictures) < len(places) else list(range(len(places)))
    )
    pixels = image.encode([(one,) for one in pictures], processor.images, where=lambda rows: where([firsts[row] for row in rows]))
    flat = text.encode_texts(processor.tokenizer, [(row[1],) for row in inputs], max_length)
    longest = width or int(flat.lengths.max(initial=1))
    tokens = np.full((len(flat), longest), flat.pad_id, dtype=np.int32)
    real = np.arange(longest) < flat.lengths[:, None]
    tokens[real] = flat.ids
    return Encoded(
        pixels.subset(np.array(places, dtype=np.int64)),
        tokens,
        real,
        width is None,
        flat.truncated,
        _ids(inputs, pictures, places) if known else None,
    )


def _distinct(cells: Sequence[Any]) -> tuple[list[Any], list[int]]:
    """Cells that differ, by path or by being the same object, and the place of each row's among them."""
    seen: dict[Any, int] = {}
    keys = [str(cell) if isinstance(cell, (str, Path)) else id(cell) for cell in cells]
    places = [seen.setdefault(key, len(seen)) for key in keys]
    found: list[Any] = [None] * len(seen)
    for cell, place in zip(cells, places, strict=True):
        found[place] = cell
    return found, places


def _ids(inputs: Sequence[tuple[Any, ...]], pictures: Sequence[Any], places: Sequence[int]) -> np.ndarray:
    """Numbers of each row's image, by its content, and of its text, (n, 2) int64."""
    seen: dict[bytes, int] = {}
    images = [seen.setdefault(image.key((one,)), len(seen)) for one in pictures]
    words: dict[str, int] = {}
    texts = [words.setdefault(normalize([row[1]]), len(words)) for row in inputs]
    return np.array([(images[place], one) for place, one in zip(places, texts, strict=True)], dtype=np.int64).reshape(-1, 2)


def shown(row: tuple[Any, ...]) -> str:
    """The image's path and its text."""
    return f"{image.shown(row[:1])}: {row[1]}"


def key(row: tuple[Any, ...]) -> bytes:
    """The image's own: an image with several texts stays on one side of every split."""
    return image.key(row[:1])


def load_processor(folder: Path, config: Any) -> Processor:
    """The tokenizer and the preparation of images of a model folder."""
    return Processor(load_tokenizer(folder, config), image.load_processor(folder, config))
