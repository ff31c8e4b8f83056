"""Texts and pairs of texts as token ids, cut to a length, with what was cut counted.

Source: Devlin et al. 2019, BERT, section 3 (single texts and pairs with segment ids).
When: any text model with a fast tokenizer. When not: models that read characters or bytes without a tokenizer file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.core.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

# Characters kept per token of ``max_length`` before tokenising; none needs so many, and a text of megabytes costs nothing.
_CHARACTERS_PER_TOKEN = 64
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Encoded:
    """n rows of token ids, each as long as it is; ``truncated`` of them lost their end."""

    input_ids: list[list[int]]
    token_type_ids: list[list[int]] | None
    lengths: np.ndarray
    truncated: int


@contextmanager
def _settings_kept(tokenizer: Any) -> Iterator[None]:
    """A call leaves its truncation in the tokenizer, from where it would be saved with the model."""
    backend = tokenizer.backend_tokenizer
    truncation, padding = backend.truncation, backend.padding
    try:
        yield
    finally:
        backend.enable_truncation(**truncation) if truncation else backend.no_truncation()
        backend.enable_padding(**padding) if padding else backend.no_padding()


def _tokenise(tokenizer: Any, texts: Sequence[tuple[str, ...]], max_length: int) -> Any:
    longest = max_length * _CHARACTERS_PER_TOKEN
    columns = [[text[:longest] for text in column] for column in zip(*texts, strict=True)]
    try:
        with _settings_kept(tokenizer):
            return tokenizer(*columns, truncation="longest_first", max_length=max_length, padding=False)
    except BaseException as error:  # the tokenizer's panics are no Exceptions
        if type(error).__name__ != "PanicException":
            raise
        reason = str(error).strip().split("\n")[0][:200]
    raise UserError(
        f"the tokenizer broke down on these texts: {reason}",
        expected="text that its rules can split",
        try_="another model, or shorter texts",
    )


def _stand_in(tokenizer: Any) -> int:
    """What is read where a text has no token, as an empty one for a tokenizer that adds none of its own."""
    special = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id, tokenizer.pad_token_id)
    return next((token for token in special if token is not None), 0)


def encode_texts(tokenizer: Any, texts: Sequence[tuple[str, ...]], max_length: int) -> Encoded:
    """Token ids of n texts (a,) or pairs (a, b); of a pair the longer one is cut first."""
    if not getattr(tokenizer, "is_fast", False):
        raise UserError(f"{type(tokenizer).__name__} is not a fast tokenizer", expected="a model with a tokenizer.json")
    reserved = tokenizer.num_special_tokens_to_add(pair=bool(texts) and len(texts[0]) == 2)
    if max_length <= reserved:
        raise UserError(
            f"max_length {max_length} leaves no room beside {reserved} special tokens", expected=f"at least {reserved + 1}"
        )
    ids: list[list[int]] = []
    segments: list[list[int]] = []
    truncated = 0
    for start in range(0, len(texts), _ROWS_AT_ONCE):
        part = texts[start : start + _ROWS_AT_ONCE]
        batch = _tokenise(tokenizer, part, max_length)
        ids += batch["input_ids"]
        segments += batch.get("token_type_ids", [])
        for encoding, row in zip(batch.encodings, part, strict=True):
            truncated += bool(encoding.overflowing) or any(len(text) > max_length * _CHARACTERS_PER_TOKEN for text in row)
    if not all(ids):
        ids = [row or [_stand_in(tokenizer)] for row in ids]
        segments = [row or [0] for row in segments]
    lengths = np.array([len(row) for row in ids], dtype=np.int64)
    return Encoded(ids, segments or None, lengths, truncated)


def _padded(rows: list[list[int]], fill: int, side: str) -> np.ndarray:
    """(batch, tokens) int64 with the rows at the left, or at the right when padding goes left."""
    width = max(map(len, rows))
    padded = np.full((len(rows), width), fill, dtype=np.int64)
    for place, row in enumerate(rows):
        padded[place, slice(width - len(row), width) if side == "left" else slice(len(row))] = row
    return padded


def collate(encoded: Encoded, indices: Sequence[int] | np.ndarray, pad_id: int, padding_side: str) -> dict[str, Tensor]:
    """Padded input_ids, attention_mask and, where the model has them, token_type_ids of some rows; (batch, tokens) int64."""
    import torch

    rows = [encoded.input_ids[index] for index in indices]
    arrays = {
        "input_ids": _padded(rows, pad_id, padding_side),
        "attention_mask": _padded([[1] * len(row) for row in rows], 0, padding_side),
    }
    if encoded.token_type_ids is not None:
        arrays["token_type_ids"] = _padded([encoded.token_type_ids[index] for index in indices], 0, padding_side)
    return {name: torch.from_numpy(array) for name, array in arrays.items()}
