"""Texts in windows, of whose tokens some are hidden: anew in each step of training, always the same in evaluation.

Source: Devlin et al. 2019, BERT, section 3.1 and appendix A.1: 15 % of the tokens, of which 80 % become the mask, 10 % another
token and 10 % stay. Whole words: the release notes of its code (2019). When: models with a mask token. When not: causal
models (language.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.core.errors import UserError
from tunewright.datasets.ragged import IGNORED
from tunewright.modalities.language import causal as language
from tunewright.modalities.text import modality as text
from tunewright.modalities.words import modality as words

if TYPE_CHECKING:
    from torch import Tensor

_MASKED, _OTHER = 0.8, 0.1  # shares of the chosen tokens; the rest stays as it is


@dataclass(frozen=True)
class Rules:
    """What is hidden: a ``share`` of the tokens or, with ``whole_words``, of the words; ``mask`` is the mask token.

    ``vocabulary``: token numbers below it may stand in for a hidden one.
    """

    share: float
    whole_words: bool
    mask: int
    vocabulary: int


@dataclass(frozen=True)
class Encoded:
    """Windows of token ids. ``words`` (all tokens,) numbers the words of a window from 0, -1 for tokens around the text.

    ``rows`` and ``sizes`` (windows,): the row that each is of, and its UTF-8 bytes. ``draws``: masks are drawn from torch's
    generator when targets are asked for, and kept in ``drawn`` until their batch is made.
    """

    flat: text.Encoded
    words: np.ndarray
    rows: np.ndarray
    sizes: np.ndarray
    rules: Rules
    draws: bool = False
    drawn: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def varies(self) -> bool:
        """Whether batches for training are drawn."""
        return self.draws

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each window, (windows,)."""
        return self.flat.lengths

    @property
    def truncated(self) -> int:
        """None loses its end: long texts go on in further windows."""
        return 0

    @property
    def side(self) -> str:
        return self.flat.side

    def subset(self, rows: np.ndarray) -> Encoded:
        """Some windows, in the order given."""
        parts = [self.words[self._part(row)] for row in rows]
        some = {name: getattr(self, name)[rows] for name in ("rows", "sizes")}
        return replace(self, flat=self.flat.subset(rows), words=np.concatenate(parts or [self.words[:0]]), drawn={}, **some)

    def _part(self, window: int) -> slice:
        start = int(self.flat.starts[window])
        return slice(start, start + int(self.lengths[window]))

    def hidden(self, window: int) -> tuple[np.ndarray, np.ndarray]:
        """A window's ids with some hidden, and its targets: the true id where one was chosen; both (tokens,)."""
        part = self._part(window)
        if not self.draws:
            generator = np.random.default_rng([len(self.flat.ids[part]), *self.flat.ids[part][:8].tolist()])
            return _hide(self.flat.ids[part], self.words[part], self.rules, generator.random(3 * (part.stop - part.start)))
        import torch

        numbers = torch.rand(3 * (part.stop - part.start), dtype=torch.float64).numpy()
        return _hide(self.flat.ids[part], self.words[part], self.rules, numbers)

    def collate(self, rows: np.ndarray, *, training: bool = False) -> dict[str, Tensor]:
        """Padded input_ids with some hidden, and attention_mask, (batch, tokens) int64; as the targets were last drawn."""
        import torch

        made = self.flat.collate(rows)
        lengths, width = self.lengths[rows], made["input_ids"].shape[1]
        for place, row in enumerate(rows.tolist()):
            ids = self.drawn.pop(row, None) or self.hidden(row)
            start = width - int(lengths[place]) if self.side == "left" else 0
            made["input_ids"][place, start : start + int(lengths[place])] = torch.from_numpy(ids[0].astype(np.int64))
        return made

    def arrays(self) -> Iterable[np.ndarray]:
        """All that tells these windows from others."""
        return self.flat.arrays()


@dataclass(frozen=True)
class Targets:
    """The hidden tokens of each window."""

    encoded: Encoded

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, rows: np.ndarray) -> Targets:
        return Targets(self.encoded.subset(rows))

    def padded(self, rows: np.ndarray, side: str = "right") -> np.ndarray:
        """(batch, tokens), IGNORED where nothing is hidden; masks that are drawn are kept for the batch."""
        encoded = self.encoded
        made = [encoded.hidden(row) for row in rows.tolist()]
        if encoded.draws:
            encoded.drawn.update(zip(rows.tolist(), made, strict=True))
        width = int(encoded.lengths[rows].max(initial=0))
        out = np.full((len(rows), width), IGNORED, dtype=np.int64)
        for place, (_, targets) in enumerate(made):
            start = width - len(targets) if side == "left" else 0
            out[place, start : start + len(targets)] = targets
        return out


def _hide(ids: np.ndarray, words: np.ndarray, rules: Rules, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``numbers`` in [0, 1), three for each token: which is chosen, what becomes of it, and which other token stands in."""
    choice, fate, other = numbers.reshape(3, -1)
    targets = np.full(len(ids), IGNORED, dtype=np.int64)
    units = words if rules.whole_words else np.where(words >= 0, np.arange(len(ids)), -1)
    known = np.unique(units[units >= 0])
    if not len(known):
        return ids, targets
    # Each unit has the number of its first token; those with the lowest are chosen, at least one.
    firsts = np.searchsorted(np.maximum.accumulate(units), known)
    count = max(1, round(rules.share * len(known)))
    chosen = np.isin(units, known[np.argsort(choice[firsts], kind="stable")[:count]])
    targets[chosen] = ids[chosen]
    changed = np.where(
        fate < _MASKED, rules.mask, np.where(fate < _MASKED + _OTHER, (other * rules.vocabulary).astype(np.int64), ids)
    )
    return np.where(chosen, changed, ids), targets


def encode(tokenizer: Any, texts: Sequence[str], max_length: int, share: float, whole_words: bool) -> Encoded:
    """Windows that follow one another without overlap, each with the tokens around it that the tokenizer puts there."""
    text.refuse_slow(tokenizer)
    if tokenizer.mask_token_id is None:
        raise UserError("the tokenizer has no mask token", expected="a masked language model", try_="--task causal_lm")
    before, after = words.around(tokenizer)
    room = max_length - len(before) - len(after)
    if room < 1:
        raise UserError(f"max_length {max_length} leaves no room for text", expected="a larger data.max_length")
    ids: list[np.ndarray] = []
    numbers: list[np.ndarray] = []
    rows: list[int] = []
    sizes: list[int] = []
    for row, document in enumerate(texts):
        (encoding,) = language.tokenized(tokenizer, [document])
        whole, of = (
            np.asarray(encoding.ids, dtype=np.int32),
            np.array([-1 if word is None else word for word in encoding.word_ids]),
        )
        for start in range(0, max(1, len(whole)), room):
            part, belongs = whole[start : start + room], of[start : start + room]
            ids.append(np.concatenate([before, part, after]).astype(np.int32))
            numbers.append(np.concatenate([[-1] * len(before), belongs, [-1] * len(after)]).astype(np.int64))
            rows.append(row)
            sizes.append(len(document.encode()) if start == 0 else 0)
    if not any((one >= 0).any() for one in numbers):
        raise UserError("every document is empty", expected="text to learn from")
    lengths = np.array([len(one) for one in ids], dtype=np.int64)
    flat = text.Encoded(np.concatenate(ids), None, lengths, 0, language.pad_of(tokenizer), tokenizer.padding_side)
    rules = Rules(share, whole_words, int(tokenizer.mask_token_id), len(tokenizer))
    return Encoded(flat, np.concatenate(numbers), np.array(rows, dtype=np.int64), np.array(sizes), rules)
