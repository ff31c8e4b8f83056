"""Two texts for each example: the better and the worse answer to a prompt, or one judged answer and a foreign one.

Source: pairs: Rafailov et al. 2023, DPO; answers put to foreign prompts: Ethayarajh et al. 2024, KTO, section 4.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tunewright.core.errors import UserError
from tunewright.core.registry import name_of
from tunewright.modalities.language import causal as language
from tunewright.modalities.language.chat_template import Template
from tunewright.modalities.language.conversations import Judgement, Preference
from tunewright.modalities.language.messages import Message

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Encoded:
    """n examples of two texts each; of ``flat`` the texts 2 i and 2 i + 1 belong to example i, their last answers learned.

    ``paired``: the first is preferred to the second. Otherwise the first is judged by ``signs`` (n,), 1 wanted and -1 not, and
    the second is the same prompt with another row's answer. ``rows`` (n,): the rows that examples are of. ``reference`` (n, 2)
    are the untouched network's log-probabilities, nan where they are not known. ``measure``: the objective and its settings.
    """

    flat: language.Encoded
    paired: bool
    signs: np.ndarray
    rows: np.ndarray
    reference: np.ndarray
    measure: tuple[Any, Any]
    varies: ClassVar[bool] = False

    def __len__(self) -> int:
        return len(self.signs)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of both texts as they are filled up, (n,)."""
        longest: np.ndarray = 2 * self.flat.lengths.reshape(-1, 2).max(1)
        return longest

    @property
    def truncated(self) -> int:
        """Examples of which an answer lost its end."""
        return int(self.flat.cut.reshape(-1, 2).any(1).sum())

    def texts(self, rows: np.ndarray) -> np.ndarray:
        """Places of some examples' texts in ``flat``: all first ones, then all second ones."""
        return np.concatenate([2 * rows, 2 * rows + 1])

    def subset(self, rows: np.ndarray) -> Encoded:
        """Some examples, in the order given."""
        flat = self.flat.subset(np.stack([2 * rows, 2 * rows + 1], axis=1).reshape(-1))
        some = {name: getattr(self, name)[rows] for name in ("signs", "rows", "reference")}
        return replace(self, flat=flat, **some)

    def collate(self, rows: np.ndarray, *, training: bool = False) -> dict[str, Tensor]:
        """Padded input_ids and attention_mask, (2 batch, tokens) int64: all first texts, then all second ones."""
        made = self.flat.collate(self.texts(rows))
        del made["labels"]
        return made

    def arrays(self) -> Iterable[np.ndarray]:
        """All that tells these examples from others."""
        return [*self.flat.arrays(), self.signs]


@dataclass(frozen=True)
class Targets:
    """What the loss reads beside the network's output."""

    encoded: Encoded

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, rows: np.ndarray) -> Targets:
        return Targets(self.encoded.subset(rows))

    def batch(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """``labels`` (2 batch, tokens), ``reference`` (batch, 2) and ``signs`` (batch,)."""
        encoded = self.encoded
        labels = encoded.flat.targets.padded(encoded.texts(rows), encoded.flat.side)
        return {"labels": labels, "reference": encoded.reference[rows].astype(np.float32), "signs": encoded.signs[rows]}


def encode(
    tokenizer: Any, rows: Sequence[Preference | Judgement], max_length: int, template: Template, measure: tuple[Any, Any]
) -> Encoded:
    """Pairs for a paired objective; for one that judges, both answers of a pair on their own, or judged answers as they are."""
    paired = bool(measure[0].PAIRED)
    name = name_of("preference_losses", measure[0])
    if paired and any(isinstance(row, Judgement) for row in rows):
        raise UserError(f"{name} compares two answers, and each row has one that is judged", try_="--set head.objective=kto")
    texts, signs, numbers = _pairs(rows) if paired else _judged(rows)
    flat = language.encode_conversations(tokenizer, texts, max_length, template=template, answers="last")
    nothing = np.full((len(signs), 2), np.nan)
    return Encoded(flat, paired, np.array(signs), np.array(numbers, dtype=np.int64), nothing, measure)


def _pairs(rows: Sequence[Any]) -> tuple[list[Any], list[int], list[int]]:
    texts = [(*row.prompt, answer) for row in rows for answer in (row.chosen, row.rejected)]
    return texts, [1] * len(rows), list(range(len(rows)))


def _judged(rows: Sequence[Preference | Judgement]) -> tuple[list[Any], list[int], list[int]]:
    found: list[tuple[Any, Message, int, int]] = []
    for number, row in enumerate(rows):
        if isinstance(row, Judgement):
            found.append((row.prompt, row.answer, 1 if row.desirable else -1, number))
        else:
            found += [(row.prompt, row.chosen, 1, number), (row.prompt, row.rejected, -1, number)]
    foreign = [found[(place + 2) % len(found)][1] for place in range(len(found))]  # 2: beyond the other answer of a pair
    texts = [(*one[0], answer) for one, other in zip(found, foreign, strict=True) for answer in (one[1], other)]
    return texts, [one[2] for one in found], [one[3] for one in found]
