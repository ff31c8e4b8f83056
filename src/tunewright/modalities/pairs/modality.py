"""Texts that belong together: an anchor with its positive and perhaps a hard negative, or texts with a class that they share.

Source: Henderson et al. 2017 (pairs, the others of a batch as negatives); Khosla et al. 2020, section 3 (positives by class).
When: texts will be compared or searched. When not: a graded score of each pair (similarity, on kind ``text``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tunewright.datasets.columns import TEXT_NAMES, folded, named
from tunewright.datasets.quality.duplicates import normalize
from tunewright.datasets.table import Table
from tunewright.modalities.processor_files import load_tokenizer
from tunewright.modalities.text import modality as text

if TYPE_CHECKING:
    from torch import Tensor

RECOGNITION_ORDER = 50
TOKENIZED = True
SCRATCH_LOADING = None
load_processor = load_tokenizer

_ANCHORS = ("anchor", "query")


@dataclass(frozen=True)
class Encoded:
    """n rows of ``each`` texts, whose token ids lie behind one another in ``flat``.

    ``ids`` (n, 2 or more): equal numbers are texts that belong together, -1 a row without a partner; None where texts are
    only to be embedded. ``by_class``: a row has one text, and another of its class stands for its positive, drawn anew each time.
    """

    flat: text.Encoded
    each: int
    ids: np.ndarray | None
    by_class: bool
    varies: ClassVar[bool] = True

    def __len__(self) -> int:
        return len(self.flat) // self.each

    @cached_property
    def lengths(self) -> np.ndarray:
        """Padded tokens of a row's texts, (n,)."""
        longest: np.ndarray = self.flat.lengths.reshape(-1, self.each).max(1) * (2 if self.by_class else self.each)
        return longest

    @property
    def truncated(self) -> int:
        return self.flat.truncated

    def subset(self, rows: np.ndarray) -> Encoded:
        """Some rows, in the order given; partners are then drawn among these."""
        return replace(self, flat=self.flat.subset(self._texts(rows)), ids=None if self.ids is None else self.ids[rows])

    def collate(self, rows: np.ndarray, *, training: bool = False) -> dict[str, Tensor]:
        """Padded tokens of each row's texts one after the other, (rows x texts, tokens); of texts to embed, the first."""
        if self.ids is None:
            return self.flat.collate(np.asarray(rows) * self.each)
        if self.by_class:
            return self.flat.collate(np.stack([rows, self._partners(rows, training)], 1).ravel())
        return self.flat.collate(self._texts(rows))

    def arrays(self) -> Iterable[np.ndarray]:
        """All that tells these rows from others."""
        return [*self.flat.arrays(), *([] if self.ids is None else [self.ids])]

    def _texts(self, rows: np.ndarray) -> np.ndarray:
        """Where the texts of some rows are, row by row."""
        places: np.ndarray = (np.asarray(rows, dtype=np.int64)[:, None] * self.each + np.arange(self.each)).ravel()
        return places

    @cached_property
    def _classes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Rows in the order of their class; of each row its place there, where its class begins, and how many it has."""
        assert self.ids is not None
        order = np.argsort(self.ids[:, 0], kind="stable")
        _, first, inverse, sizes = np.unique(self.ids[order, 0], return_index=True, return_inverse=True, return_counts=True)
        place, start, size = (np.empty(len(order), dtype=np.int64) for _ in range(3))
        place[order], start[order], size[order] = np.arange(len(order)), first[inverse], sizes[inverse]
        return order, place, start, size

    def _partners(self, rows: np.ndarray, training: bool) -> np.ndarray:
        """Another row of each row's class, (rows,): at random in training, the next one otherwise; itself where it is alone."""
        import torch

        order, place, start, size = self._classes
        others = np.maximum(size[rows] - 1, 1)
        steps = (torch.rand(len(rows)).numpy() * others).astype(np.int64) % others + 1 if training else 1
        found: np.ndarray = order[start[rows] + (place[rows] - start[rows] + steps) % size[rows]]
        return found


def recognize(table: Table, wanted: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], str] | None:
    """Columns called anchor (or query), positive and negative; for the task by name two or three texts, or one and a class."""
    if wanted.get("task") not in (None, "embedding"):
        return None
    by_name = {folded(name): name for name in table.columns}
    texts, target = tuple(wanted.get("text") or ()), tuple(wanted.get("target") or ())
    anchors = [by_name[name] for name in _ANCHORS if name in by_name]
    if not texts and not target and len(anchors) == 1 and "positive" in by_name:
        texts = (anchors[0], *(by_name[name] for name in ("positive", "negative") if name in by_name))
    if wanted.get("task") is None:
        return None if wanted.get("text") or target or not texts else (texts, (), "embedding")
    texts = texts or tuple(named([name for name in table.columns if name not in target], TEXT_NAMES))
    fits = len(texts) in (2, 3) if not target else len(texts) == len(target) == 1
    return (texts, target, "embedding") if fits else None


def read(table: Table, columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The texts of each row; of a table to embed, the first column is enough. What is not text is a ``UserError``."""
    names = [columns[0], *(name for name in columns[1:] if any(folded(name) == folded(column) for column in table.columns))]
    return text.read_filled(table, names)


def shown(row: tuple[Any, ...]) -> str:
    """The text that is embedded or searched with."""
    return str(row[0])


def compared(row: tuple[Any, ...]) -> tuple[str, ...]:
    """What duplicates are looked for in."""
    return tuple(map(str, row))


def encode(
    inputs: Sequence[tuple[Any, ...]], classes: np.ndarray | None, tokenizer: Any, max_length: int, *, known: bool
) -> Encoded:
    """Token ids of every text; ``known``: what belongs together is told, by ``classes`` (n,) or by standing in one row."""
    each = len(inputs[0]) if inputs else 1
    flat = text.encode_texts(tokenizer, [(one,) for row in inputs for one in row], max_length)
    by_class = known and each == 1
    return Encoded(flat, each, _ids(inputs, classes, by_class) if known else None, by_class)


def _ids(inputs: Sequence[tuple[Any, ...]], classes: np.ndarray | None, by_class: bool) -> np.ndarray:
    if by_class:
        assert classes is not None
        _, inverse, sizes = np.unique(classes, return_inverse=True, return_counts=True)
        return np.stack([inverse, np.where(sizes[inverse] > 1, inverse, -1)], 1).astype(np.int64)
    seen: dict[str, int] = {}
    return np.array([[seen.setdefault(normalize([one]), len(seen)) for one in row] for row in inputs], dtype=np.int64)
