"""Rows of several kinds at once: texts, an image, a sound, numbers and categories, each column read by its own kind's encoder.

Source: Baltrušaitis, Ahuja and Morency 2019, Multimodal Machine Learning: A Survey and Taxonomy, section 2 (what modalities are).
When: each kind tells something that the others do not. When not: one kind alone does as well; compare with it first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.config.audio_augmentation import AudioAugmentation
from tunewright.config.augmentation import Augmentation, Mixing
from tunewright.core.errors import UserError, gathering, raise_all
from tunewright.core.files import read_object
from tunewright.core.types import Finding
from tunewright.datasets import media
from tunewright.datasets.columns import find, is_identifier, is_numeric, is_wordy, present
from tunewright.datasets.schema import guess_target, guess_task
from tunewright.datasets.table import Table
from tunewright.modalities.audio import modality as audio
from tunewright.modalities.image import modality as image
from tunewright.modalities.processor_files import PREPROCESSOR, read_preparation
from tunewright.modalities.table import modality as table
from tunewright.modalities.text import modality as text

if TYPE_CHECKING:
    from torch import Tensor

RECOGNITION_ORDER = 10
TOKENIZED = False
SCRATCH_LOADING = "tunewright.models.mixed_loading"

KINDS: tuple[str, ...] = ("text", "image", "audio", "table")  # in the order in which their vectors stand
_TASKS: tuple[str, ...] = ("classification", "multi_label", "ordinal", "multi_task", "regression")
_MOST_TEXTS = 2  # text columns, read as a pair


@dataclass(frozen=True)
class Processor:
    """What each input column is, and what makes the inputs of each kind; ``longest`` are the tokens that the text model takes."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    own: Mapping[str, Any] = field(default_factory=dict)
    longest: int = 0

    @property
    def used(self) -> tuple[str, ...]:
        """The kinds that there are."""
        return tuple(kind for kind in KINDS if kind in self.kinds)

    @property
    def images(self) -> Any:
        """The preparation of images, None where there are none."""
        return self.own.get("image")

    def to_dict(self) -> dict[str, Any]:
        """What the columns are; each kind's own preparation lies with its model."""
        return {"names": list(self.names), "kinds": list(self.kinds), "longest": self.longest}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any], own: Mapping[str, Any]) -> Processor:
        """What ``to_dict`` wrote, with each kind's preparation; anything else is a UserError."""
        names, kinds, longest = (saved.get(key) for key in ("names", "kinds", "longest"))
        lists = isinstance(names, list) and isinstance(kinds, list) and len(names) == len(kinds) > 0
        if not lists or not set(kinds or ()) <= set(KINDS) or not isinstance(longest, int):
            raise UserError("the saved description of the columns is damaged", expected="names with their kinds")
        return cls(tuple(map(str, names or ())), tuple(kinds or ()), own, longest)

    def example(self) -> dict[str, Tensor]:
        """One row of zeros or of first tokens."""
        import torch

        made: dict[str, Tensor] = {}
        for kind in self.used:
            how = self.own[kind]
            if kind == "text":
                found = text.encode_texts(how, [("a",)], self.longest).collate(np.arange(1))
            elif kind == "image":
                found = {"pixel_values": torch.zeros(1, how.channels, how.height, how.width)}
            elif kind == "audio":
                silent = np.zeros(how.most_samples, dtype=np.int16)
                found = audio.Encoded(silent, np.array([len(silent)]), np.arange(1), how).collate(np.arange(1))
            else:
                found = how.example()
            made |= {f"{kind}.{name}": value for name, value in found.items()}
        return made


@dataclass(frozen=True)
class Encoded:
    """n rows: what each kind's own encoder made of its columns."""

    parts: Mapping[str, Any]

    def __len__(self) -> int:
        return len(next(iter(self.parts.values())))

    @property
    def lengths(self) -> np.ndarray:
        """Tokens, patches, frames and columns of each row, (n,)."""
        found: np.ndarray = np.sum([part.lengths for part in self.parts.values()], axis=0)
        return found

    @property
    def truncated(self) -> int:
        """Texts and sounds that lost their end."""
        return sum(int(part.truncated) for part in self.parts.values())

    @property
    def varies(self) -> bool:
        return any(part.varies for part in self.parts.values())

    def augmented(self, augmentation: Augmentation, mixing: Mixing) -> Encoded:
        """The same rows, whose images change at random in batches for training."""
        return replace(self, parts={**self.parts, "image": self.parts["image"].augmented(augmentation, mixing)})

    def disturbed(self, augmentation: AudioAugmentation) -> Encoded:
        """The same rows, whose sounds change at random in batches for training; rows without any are a ``UserError``."""
        if "audio" not in self.parts:
            raise UserError(
                "data.audio_augmentation changes sounds, and these rows have none", try_="leave data.audio_augmentation out"
            )
        return replace(self, parts={**self.parts, "audio": self.parts["audio"].disturbed(augmentation)})

    def subset(self, rows: np.ndarray) -> Encoded:
        """Some rows, in the order given."""
        return Encoded({kind: part.subset(rows) for kind, part in self.parts.items()})

    def collate(self, rows: np.ndarray, *, training: bool = False) -> dict[str, Tensor]:
        """Each kind's inputs of some rows, as ``kind.name``."""
        made = {kind: part.collate(rows, training=training) for kind, part in self.parts.items()}
        return {f"{kind}.{name}": value for kind, inputs in made.items() for name, value in inputs.items()}

    def arrays(self) -> Iterable[np.ndarray]:
        """All that tells these rows from others."""
        for part in self.parts.values():
            yield from part.arrays()


def recognize(given: Table, named: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], str] | None:
    """Input columns of several kinds that the user names, or all columns where the user names this kind."""
    asked, inputs = named.get("kind") == "mixed", tuple(named.get("text") or ())
    if named.get("task") not in (None, *_TASKS) or not (asked or len(inputs) > 1):
        return None
    if inputs and not asked and not _differ(given, inputs):
        return None
    free = [name for name in given.columns if name not in (*inputs, *named.get("side", ()))]
    plain = [name for name in free if kinds_of(given, (name,)) == ("table",)]
    target = tuple(named.get("target") or guess_target(given, plain))
    inputs = inputs or tuple(
        name for name in free if name not in target and not (name in plain and is_identifier(name, given.columns[name]))
    )
    if not inputs:
        return None
    task = named.get("task") or guess_task([given.columns[name] for name in target], 1)
    return inputs, target, task


def _differ(given: Table, names: tuple[str, ...]) -> bool:
    """Whether columns are of kinds that cannot be read together otherwise; short words beside texts may be texts, too."""
    kinds = kinds_of(given, names)
    if {"image", "audio"} & set(kinds):
        return len(set(kinds)) > 1
    numbers = any(kind == "table" and is_numeric(given.columns[name]) for kind, name in zip(kinds, names, strict=True))
    return "text" in kinds and numbers


def kinds_of(given: Table, names: tuple[str, ...]) -> tuple[str, ...]:
    """What each column's cells are: pictures, sounds, texts of several words, or numbers and short words."""
    return tuple(_kind_of(present(given.column(find(given, name, "text")[0]))) for name in names)


def _kind_of(cells: list[Any]) -> str:
    if cells and all(map(audio.holds_sound, cells)):
        return "audio"
    if cells and all(map(image.holds_picture, cells)):
        return "image"
    return "text" if is_wordy(cells) else "table"


def read(
    given: Table, columns: tuple[str, ...], kinds: tuple[str, ...], findings: list[Finding] | None = None
) -> list[tuple[Any, ...]]:
    """Each row's cells with their kinds, ``(kind, value)``, as each kind's own ``read`` gives them; all faults together."""
    wrong = [kind for kind in ("image", "audio") if kinds.count(kind) > 1]
    if wrong or kinds.count("text") > _MOST_TEXTS:
        raise UserError(
            f"{kinds.count(wrong[0] if wrong else 'text')} {wrong[0] if wrong else 'text'} columns are to be read together",
            expected="one image, one sound and at most two text columns",
            try_="name the inputs: --set data.input='[photo, note, price]'",
        )
    faults: list[UserError] = []
    found: list[list[tuple[str, Any]]] = []
    for name, kind in zip(columns, kinds, strict=True):
        with gathering(faults):
            found.append([(kind, value) for value in _read(given, name, kind, findings)])
    raise_all(faults)
    return list(zip(*found, strict=True))


def _read(given: Table, name: str, kind: str, findings: list[Finding] | None) -> list[Any]:
    if kind in ("image", "audio"):
        return [row[0] for row in (image if kind == "image" else audio).read(given, (name,), findings)]
    if kind == "table":
        return [row[0] for row in table.read(given, (find(given, name, "text")[0],))]
    cells = given.column(find(given, name, "text")[0])
    wrong = [index for index, cell in enumerate(cells) if cell is not None and not isinstance(cell, str)]
    if wrong:
        raise UserError(f"{given.where(wrong)}: '{name}' holds a {type(cells[wrong[0]]).__name__}", expected="text")
    return [cell or "" for cell in cells]


def encode(
    inputs: Sequence[tuple[Any, ...]],
    processor: Processor,
    *,
    max_length: int,
    where: Callable[[Sequence[int]], str] = media.numbered,
) -> Encoded:
    """Each kind's columns by its own encoder; ``where`` words rows that cannot be read."""
    parts: dict[str, Any] = {}
    for kind in processor.used:
        how = processor.own[kind]
        rows = [tuple(value for own, value in row if own == kind) for row in inputs]
        if kind == "text":
            parts[kind] = text.encode_texts(how, rows, min(max_length, processor.longest))
        elif kind == "table":
            parts[kind] = table.encode(rows, how, where)
        else:
            parts[kind] = (image if kind == "image" else audio).encode(rows, how, where=where)
    return Encoded(parts)


def shown(row: tuple[Any, ...]) -> str:
    """All cells in one line."""
    return ", ".join(_shown(kind, value) for kind, value in row)


def _shown(kind: str, value: Any) -> str:
    readers = {"image": image.shown, "audio": audio.shown, "table": table.shown}
    return readers[kind]((value,)) if kind in readers else str(value)


def key(row: tuple[Any, ...]) -> bytes:
    """The cells' own keys, the same for rows that say the same."""
    readers = {"image": image.key, "audio": audio.key, "table": table.key}
    return json.dumps([readers[kind]((value,)).hex() if kind in readers else value for kind, value in row]).encode()


def model_folders(folder: Path) -> tuple[str, ...]:
    """The folders inside that each hold the model of one modality."""
    used = Processor.from_dict(read_object(folder / PREPROCESSOR), {}).used
    return tuple(kind for kind in used if kind != "table")


def load_processor(folder: Path, config: Mapping[str, Any]) -> Processor:
    """What each column is, with the preparation that lies beside each modality's model; ``config`` has each model's own."""

    def made(saved: dict[str, Any]) -> Processor:
        used = Processor.from_dict(saved, {}).used
        return Processor.from_dict(saved, {kind: _OF_KIND[kind].load_processor(folder / kind, config.get(kind)) for kind in used})

    found: Processor = read_preparation(folder, "mixed", made)
    return found


_OF_KIND = {"text": text, "image": image, "audio": audio, "table": table}
