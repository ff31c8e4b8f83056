"""Texts to read and texts to write: token ids for an encoder and, begun by the model's own rule, for its decoder.

Source: Vaswani et al. 2017, section 3.1 (the decoder reads what it is to write, one place later); prefixes: Raffel et al. 2020,
section 2.4. When: models with an encoder and a decoder. When not: decoders alone, which go on from a prompt (language).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tunewright.core.errors import UserError
from tunewright.datasets.ragged import IGNORED, Ragged, ragged
from tunewright.modalities.text import modality as text

if TYPE_CHECKING:
    from torch import Tensor

    from tunewright.config.audio_augmentation import AudioAugmentation

_SHOWN = 8  # tokens with which a decoder is tried where there is nothing to write


@dataclass(frozen=True)
class Encoded:
    """n rows: ``read`` are the encoder's tokens, ``written`` the decoder's, begun and ended; ``sizes`` UTF-8 bytes of each text.

    The states of a row lie on two sides, so that nothing is kept of them (``varies``).
    """

    read: Any  # an encoded text, or sounds
    written: Ragged
    sizes: np.ndarray  # (n,) int64
    cut: int  # texts to write that lost their end
    pad: int = 0  # of the decoder
    given: np.ndarray | None = None  # (n, some) tokens that the decoder starts from, where rows differ in them
    varies: ClassVar[bool] = True
    side: ClassVar[str] = "right"  # where the decoder's tokens are filled up

    def __len__(self) -> int:
        return len(self.read)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens on both sides."""
        both: np.ndarray = self.read.lengths + self.written.lengths
        return both

    @property
    def truncated(self) -> int:
        """Rows that lost the end of what is read, and those that lost the end of what is written."""
        return int(self.read.truncated) + int(self.cut)

    def subset(self, rows: np.ndarray) -> Encoded:
        """Some rows, in the order given."""
        given = None if self.given is None else self.given[rows]
        return replace(self, read=self.read.subset(rows), written=self.written[rows], sizes=self.sizes[rows], cut=0, given=given)

    def collate(self, rows: np.ndarray, *, training: bool = False) -> dict[str, Tensor]:
        """Padded input_ids and attention_mask (batch, tokens), and decoder_input_ids (batch, tokens of the decoder)."""
        import torch

        ids = self.written.padded(np.asarray(rows), fill=self.pad)
        return {**self.read.collate(rows, training=training), "decoder_input_ids": torch.from_numpy(ids.astype(np.int64))}

    def disturbed(self, augmentation: AudioAugmentation) -> Encoded:
        """The same rows, whose sounds change at random in batches for training."""
        if not hasattr(self.read, "disturbed"):
            raise UserError(
                "data.audio_augmentation changes sounds, and these rows are texts", try_="leave data.audio_augmentation out"
            )
        return replace(self, read=self.read.disturbed(augmentation))

    def arrays(self) -> Iterable[np.ndarray]:
        """All that tells these rows from others."""
        return [*self.read.arrays(), self.written.values, self.written.lengths]

    @property
    def targets(self) -> Ragged:
        """What is to be written, at the places of the decoder's own tokens; the first is given."""
        values = self.written.values.astype(np.int64)
        values[self.written.starts] = IGNORED
        return Ragged(values, self.written.lengths)


def encode(
    inputs: Sequence[tuple[Any, ...]], wanted: Sequence[str] | None, tokenizer: Any, inner: Any, longest: int, most: int
) -> Encoded:
    """At most ``longest`` tokens to read and ``most`` to write; without ``wanted`` the decoder has some of what is read."""
    read = text.encode_texts(tokenizer, [tuple(map(str, row)) for row in inputs], longest)
    read = replace(read, segments=None)
    if wanted is None:
        shown = [read.row(row)[:_SHOWN] for row in range(len(read))]
        return Encoded(read, ragged(_begun(inner, shown, read.pad_id), np.int32), np.zeros(len(inputs), dtype=np.int64), 0)
    ids: list[list[int]] = []
    cut = 0
    for start in range(0, len(wanted), text.ROWS_AT_ONCE):
        part = [one[: most * text.CHARACTERS_PER_TOKEN] for one in wanted[start : start + text.ROWS_AT_ONCE]]
        with text.guarded(tokenizer, part):
            made = tokenizer(text_target=part, truncation=True, max_length=most)
        ids += made["input_ids"]
        cut += sum(bool(encoding.overflowing) for encoding in made.encodings)
    written = ragged(_begun(inner, ids, read.pad_id), np.int32)
    return Encoded(read, written, np.array([len(one.encode()) for one in wanted], dtype=np.int64), cut)


def _begun(inner: Any, rows: Sequence[list[int]], pad: int) -> list[np.ndarray]:
    """Each row behind the token with which the model's own rule begins it."""
    import torch

    if getattr(inner.config, "decoder_start_token_id", None) is None and inner.config.model_type != "mbart":
        raise UserError("the model's config names no decoder_start_token_id", expected="a model that was trained to write texts")
    if not hasattr(inner, "prepare_decoder_input_ids_from_labels"):  # M2M-100, NLLB: a token before them, and no method for it
        return [np.array([inner.config.decoder_start_token_id, *row]) for row in rows]
    found = []
    for start in range(0, len(rows), text.ROWS_AT_ONCE):
        part = rows[start : start + text.ROWS_AT_ONCE]
        width = 1 + max(map(len, part))
        labels = torch.tensor([row + [pad] * (width - len(row)) for row in part])
        moved = inner.prepare_decoder_input_ids_from_labels(labels).numpy()
        found += [line[: 1 + len(row)] for line, row in zip(moved, part, strict=True)]
    return found
