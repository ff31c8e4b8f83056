"""Texts and pairs of texts as token ids, cut to a length, with what was cut counted.

Source: Devlin et al. 2019, BERT, section 3 (single texts and pairs with segment ids).
When: any text model with a fast tokenizer. When not: models that read characters or bytes without a tokenizer file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tunewright.core.errors import UserError, raise_all
from tunewright.datasets.columns import find
from tunewright.datasets.table import Table
from tunewright.modalities.language.tokenizer_trial import try_texts
from tunewright.modalities.processor_files import load_tokenizer

if TYPE_CHECKING:
    from torch import Tensor

RECOGNITION_ORDER = None  # what no other modality recognizes is text
TOKENIZED = True
SCRATCH_LOADING = None
load_processor = load_tokenizer

# Characters kept per token of ``max_length`` before tokenizing; none needs so many, and a text of megabytes costs nothing.
CHARACTERS_PER_TOKEN = 64
ROWS_AT_ONCE = 256  # the tokenizer's own objects take many kilobytes for each row; more at once is no faster


@dataclass(frozen=True)
class Encoded:
    """n rows of token ids behind one another, each ``lengths[row]`` long; ``truncated`` of them lost their end."""

    ids: np.ndarray  # (all tokens,) int32
    segments: np.ndarray | None  # (all tokens,) uint8: which text of a pair a token is from
    lengths: np.ndarray  # (n,) int64
    truncated: int
    pad_id: int = 0
    side: str = "right"  # where padding goes
    varies: ClassVar[bool] = False  # a batch is the same whenever it is made

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def starts(self) -> np.ndarray:
        """Place of each row's first token, (n,) int64."""
        found: np.ndarray = np.cumsum(self.lengths) - self.lengths
        return found

    def subset(self, rows: np.ndarray) -> Encoded:
        """Some rows, in the order given; what was cut of them is not counted again."""
        parts = [slice(start, start + length) for start, length in zip(self.starts[rows], self.lengths[rows], strict=True)]
        ids = np.concatenate([self.ids[part] for part in parts]) if parts else self.ids[:0]
        segments = (
            None if self.segments is None else np.concatenate([self.segments[part] for part in parts] or [self.segments[:0]])
        )
        return Encoded(ids, segments, self.lengths[rows], 0, self.pad_id, self.side)

    def row(self, index: int) -> list[int]:
        """Token ids of one row."""
        start = self.starts[index]
        found: list[int] = self.ids[start : start + self.lengths[index]].tolist()
        return found

    def places(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For a padded batch of these rows: ``padded_places``."""
        return padded_places(self, rows, self.side)

    def collate(self, rows: np.ndarray, *, training: bool = False) -> dict[str, Tensor]:
        """Padded input_ids, attention_mask and, where the model has them, token_type_ids of some rows; (batch, tokens) int64."""
        import torch

        places, real = self.places(rows)
        arrays = {"input_ids": np.where(real, self.ids[places], self.pad_id), "attention_mask": real}
        if self.segments is not None:
            arrays["token_type_ids"] = np.where(real, self.segments[places], 0)
        return {name: torch.from_numpy(array.astype(np.int64)) for name, array in arrays.items()}

    def arrays(self) -> Iterable[np.ndarray]:
        """All that tells these rows from others."""
        return [self.ids, self.lengths, *([] if self.segments is None else [self.segments])]


def read_filled(table: Table, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """The texts of each row where none may be missing: a cell that is no text, or is empty, is a ``UserError``."""
    faults, cells = [], []
    for name in columns:
        found = table.column(find(table, name, "text")[0])
        wrong = [index for index, cell in enumerate(found) if not isinstance(cell, str) or not cell.strip()]
        if wrong:
            faults.append(UserError(f"{table.where(wrong)}: '{name}' is {found[wrong[0]]!r}", expected="text"))
        cells.append(found)
    raise_all(faults)
    return list(zip(*cells, strict=True))


def refuse_slow(tokenizer: Any) -> None:
    """Only tokenizers of the tokenizers library tell where their tokens come from."""
    if not getattr(tokenizer, "is_fast", False):
        raise UserError(f"{type(tokenizer).__name__} is not a fast tokenizer", expected="a model with a tokenizer.json")


@contextmanager
def panics_told() -> Iterator[None]:
    """A tokenizer's panic, which is no ``Exception``, is told as a ``UserError``."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        reason = str(error).strip().split("\n")[0][:200]
        raise UserError(
            f"the tokenizer broke down on these texts: {reason}",
            expected="text that its rules can split",
            try_="another model, or shorter texts",
        ) from None


@contextmanager
def settings_kept(tokenizer: Any) -> Iterator[None]:
    """A call leaves its truncation in the tokenizer, from where it would be saved with the model."""
    backend = tokenizer.backend_tokenizer
    truncation, padding = backend.truncation, backend.padding
    try:
        yield
    finally:
        backend.enable_truncation(**truncation) if truncation else backend.no_truncation()
        backend.enable_padding(**padding) if padding else backend.no_padding()


@contextmanager
def guarded(tokenizer: Any, texts: Iterable[str]) -> Iterator[None]:
    """Around every call on many texts: a tokenizer that hangs or panics on them is told, and its settings stay."""
    try_texts(tokenizer, [*texts])
    with panics_told(), settings_kept(tokenizer):
        yield


def _tokenize(tokenizer: Any, texts: Sequence[tuple[str, ...]], max_length: int) -> Any:
    longest = max_length * CHARACTERS_PER_TOKEN
    columns = [[text[:longest] for text in column] for column in zip(*texts, strict=True)]
    with guarded(tokenizer, chain.from_iterable(columns)):
        return tokenizer(*columns, truncation="longest_first", max_length=max_length, padding=False)


def _stand_in(tokenizer: Any) -> int:
    """What is read where a text has no token, as an empty one for a tokenizer that adds none of its own."""
    special = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id, tokenizer.pad_token_id)
    return next((token for token in special if token is not None), 0)


def encode_texts(tokenizer: Any, texts: Sequence[tuple[str, ...]], max_length: int) -> Encoded:
    """Token ids of n texts (a,) or pairs (a, b); of a pair the longer one is cut first."""
    refuse_slow(tokenizer)
    reserved = tokenizer.num_special_tokens_to_add(pair=bool(texts) and len(texts[0]) == 2)
    if max_length <= reserved:
        raise UserError(
            f"max_length {max_length} leaves no room beside {reserved} special tokens", expected=f"at least {reserved + 1}"
        )
    lengths: list[int] = []
    ids: list[np.ndarray] = []
    segments: list[np.ndarray] = []
    truncated = 0
    for start in range(0, len(texts), ROWS_AT_ONCE):
        part = texts[start : start + ROWS_AT_ONCE]
        batch = _tokenize(tokenizer, part, max_length)
        rows = [row or [_stand_in(tokenizer)] for row in batch["input_ids"]]
        lengths += map(len, rows)
        ids.append(np.fromiter(chain.from_iterable(rows), dtype=np.int32))
        if "token_type_ids" in batch:
            kinds = (row or [0] for row in batch["token_type_ids"])
            segments.append(np.fromiter(chain.from_iterable(kinds), dtype=np.uint8))
        for encoding, row in zip(batch.encodings, part, strict=True):
            truncated += bool(encoding.overflowing) or any(len(text) > max_length * CHARACTERS_PER_TOKEN for text in row)
    return Encoded(
        np.concatenate(ids) if ids else np.empty(0, dtype=np.int32),
        np.concatenate(segments) if segments else None,
        np.array(lengths, dtype=np.int64),
        truncated,
        tokenizer.pad_token_id or 0,
        tokenizer.padding_side,
    )


def joined(tokenizer: Any, rows: Sequence[Sequence[int]], segments: Sequence[Sequence[int]] = ()) -> Encoded:
    """Rows of token ids put behind one another, with the segments of their tokens where the model has them."""
    return Encoded(
        np.fromiter(chain.from_iterable(rows), dtype=np.int32),
        np.fromiter(chain.from_iterable(segments), dtype=np.uint8) if segments else None,
        np.array([len(row) for row in rows], dtype=np.int64),
        0,
        tokenizer.pad_token_id or 0,
        tokenizer.padding_side,
    )


def padded_places(encoded: Any, rows: np.ndarray, side: str) -> tuple[np.ndarray, np.ndarray]:
    """For a padded batch: where each of its tokens stands among all tokens, and which are real; both (batch, tokens).

    The place of padding is that of a token of the same row, so that it can be looked up.
    """
    chosen = np.asarray(rows)
    lengths, starts = encoded.lengths[chosen, None], encoded.starts[chosen, None]
    width = int(lengths.max())
    offsets = np.arange(width) - (width - lengths if side == "left" else 0)
    real = (offsets >= 0) & (offsets < lengths)
    return starts + np.clip(offsets, 0, lengths - 1), real
