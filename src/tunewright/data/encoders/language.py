"""Token ids for language models, with a mark on each token that is to be learned.

Source: Radford et al. 2019, GPT-2 (an end-of-text token between documents); Ouyang et al. 2022, InstructGPT (answers alone
are learned). When: causal language models with a fast tokenizer. When not: classifiers of texts (encoders/text.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from tunewright.core.errors import UserError
from tunewright.data import chat_template
from tunewright.data.chat_template import Rendered, Template
from tunewright.data.encoders import text
from tunewright.data.messages import Conversation
from tunewright.data.ragged import IGNORED

if TYPE_CHECKING:
    from torch import Tensor

# Characters kept per token of ``max_length`` before tokenising; none needs so many, and a text of megabytes costs nothing.
_CHARACTERS_PER_TOKEN = 64
_ROWS_AT_ONCE = 256  # the tokenizer's own objects take many kilobytes for each row; more at once is no faster


@dataclass(frozen=True)
class Encoded:
    """n rows of token ids behind one another, each ``lengths[row]`` long.

    ``learn`` is 1 for each token that the model is to predict. ``cut`` says which rows lost their end. ``ends`` are the ids
    that close an answer, empty where rows hold no answers. ``pad_id`` and ``side`` are for batches.
    """

    ids: np.ndarray  # (all tokens,) int32
    learn: np.ndarray  # (all tokens,) uint8
    lengths: np.ndarray  # (n,) int64
    cut: np.ndarray  # (n,) bool
    ends: tuple[int, ...]
    pad_id: int
    side: str  # where padding goes
    varies: ClassVar[bool] = False  # a batch is the same whenever it is made

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def _flat(self) -> text.Encoded:
        return text.Encoded(self.ids, None, self.lengths, self.truncated, self.pad_id, self.side)

    @property
    def starts(self) -> np.ndarray:
        """Place of each row's first token, (n,) int64."""
        return self._flat.starts

    @property
    def truncated(self) -> int:
        """How many rows lost their end."""
        return int(self.cut.sum())

    @cached_property
    def learned(self) -> np.ndarray:
        """How many tokens of each row are learned, (n,) int64."""
        before = np.concatenate([[0], np.cumsum(self.learn, dtype=np.int64)])
        counts: np.ndarray = before[self.starts + self.lengths] - before[self.starts]
        return counts

    def subset(self, rows: np.ndarray) -> Encoded:
        """Some rows, in the order given."""
        parts = [slice(start, start + length) for start, length in zip(self.starts[rows], self.lengths[rows], strict=True)]
        ids = np.concatenate([self.ids[part] for part in parts] or [self.ids[:0]])
        learn = np.concatenate([self.learn[part] for part in parts] or [self.learn[:0]])
        return replace(self, ids=ids, learn=learn, lengths=self.lengths[rows], cut=self.cut[rows])

    def row(self, index: int) -> list[int]:
        """Token ids of one row."""
        return self._flat.row(index)

    def places(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For a padded batch: where each of its tokens stands among all tokens, and which are real; both (batch, tokens)."""
        return self._flat.places(rows)

    def collate(self, rows: np.ndarray, *, training: bool = False) -> dict[str, Tensor]:
        """Padded input_ids, attention_mask and labels of some rows; (batch, tokens) int64.

        Labels stand at the same places as their ids and are -100 where nothing is learned; the model shifts them by one.
        """
        import torch

        places, real = self.places(rows)
        ids = self.ids[places]
        arrays = {
            "input_ids": np.where(real, ids, self.pad_id),
            "attention_mask": real,
            "labels": np.where(real & (self.learn[places] == 1), ids, IGNORED),
        }
        return {name: torch.from_numpy(array.astype(np.int64)) for name, array in arrays.items()}

    def arrays(self) -> Iterable[np.ndarray]:
        """All that tells these rows from others."""
        return [self.ids, self.learn, self.lengths]


def encode_conversations(
    tokenizer: Any,
    conversations: Sequence[Conversation],
    max_length: int,
    *,
    template: Template | None = None,
    answers: Literal["all", "last"] = "all",
) -> Encoded:
    """Conversations in the words of a chat template; the answers are learned, each with the one token that ends it.

    ``template`` None: ``chat_template.choose`` does. ``answers`` 'last' learns the last answer alone, as preferences need it.
    Ids are those of the whole text at once, to which the tokenizer adds nothing; they are cut at the end.
    """
    form = template or chat_template.choose(tokenizer)
    rendered = (chat_template.render(form, conversation) for conversation in conversations)
    if answers == "last":
        rendered = (replace(one, answers=one.answers[-1:]) for one in rendered)
    return _encode(tokenizer, rendered, max_length)


def encode_completions(tokenizer: Any, pairs: Sequence[tuple[str, str]], max_length: int) -> Encoded:
    """Prompts and what follows them, without any template: the completion and one end-of-text token are learned.

    Nothing is written between the two: a completion that is to begin with a space has to have it.
    """
    begins, eos = chat_template.bos_of(tokenizer), _eos(tokenizer)
    rendered = []
    for prompt, completion in pairs:
        start = len(begins) + len(prompt)
        whole = f"{begins}{prompt}{completion}{eos}"
        rendered.append(Rendered(whole, ((start, len(whole)),)))
    return _encode(tokenizer, rendered, max_length)


def encode_raw(tokenizer: Any, texts: Iterable[str], max_length: int, *, ends: bool = True) -> Encoded:
    """Documents behind one another, each closed by an end-of-text token, cut into blocks of ``max_length`` tokens.

    Every token is kept, the last short block too, and every one is learned. A tokenizer that begins texts with a token
    begins each document with it. ``ends`` False leaves the closing token out, for a model that never saw one: to such a model
    each costs many times what a word does.
    """
    _refuse(tokenizer, max_length)
    begins, eos = chat_template.bos_of(tokenizer), _eos(tokenizer) if ends else ""
    if not begins and not eos:
        raise UserError(
            "nothing would stand between two documents: the tokenizer begins texts with no token",
            expected="an end-of-text token between them",
            try_="ends=True",
        )
    parts = []
    for batch in _batches(texts):
        encodings = _tokenised(tokenizer, [f"{begins}{document}{eos}" for document in batch if document])
        parts += [np.asarray(encoding.ids, dtype=np.int32) for encoding in encodings]
    if not parts:
        raise UserError("every document is empty", expected="text to learn from")
    ids = np.concatenate(parts)
    blocks = -(-len(ids) // max_length)
    lengths = np.full(blocks, max_length, dtype=np.int64)
    lengths[-1] = len(ids) - max_length * (blocks - 1)
    return Encoded(
        ids, np.ones(len(ids), dtype=np.uint8), lengths, np.zeros(blocks, dtype=bool), (), pad_of(tokenizer), _side(tokenizer)
    )


def pad_of(tokenizer: Any) -> int:
    """What stands where there is nothing: the padding token, else the end-of-text token; attention never sees it."""
    return int(next((token for token in (tokenizer.pad_token_id, tokenizer.eos_token_id) if token is not None), 0))


def _side(tokenizer: Any) -> str:
    return str(tokenizer.padding_side)


def _eos(tokenizer: Any) -> str:
    if tokenizer.eos_token is None:
        raise UserError("the tokenizer has no end-of-text token", expected="a language model's tokenizer", try_="another model")
    return str(tokenizer.eos_token)


def _refuse(tokenizer: Any, max_length: int) -> None:
    if not getattr(tokenizer, "is_fast", False):
        raise UserError(f"{type(tokenizer).__name__} is not a fast tokenizer", expected="a model with a tokenizer.json")
    if max_length < 2:
        raise UserError(f"max_length {max_length} leaves nothing to predict", expected="at least 2 tokens")


def _batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(items)
    while batch := list(islice(iterator, _ROWS_AT_ONCE)):
        yield batch


def _tokenised(tokenizer: Any, texts: Sequence[str]) -> Sequence[Any]:
    """Ids and character offsets of whole texts; special tokens in them are read, none is added, none is cut."""
    try:
        with text.settings_kept(tokenizer):
            tokenizer.backend_tokenizer.no_truncation()
            tokenizer.backend_tokenizer.no_padding()
            found: Sequence[Any] = tokenizer.backend_tokenizer.encode_batch(list(texts), add_special_tokens=False)
            return found
    except BaseException as error:  # the tokenizer's panics are no Exceptions
        if type(error).__name__ != "PanicException":
            raise
        reason = str(error).strip().split("\n")[0][:200]
    raise UserError(f"the tokenizer broke down on these texts: {reason}", expected="text that its rules can split")


def _encode(tokenizer: Any, rendered: Iterable[Rendered], max_length: int) -> Encoded:
    _refuse(tokenizer, max_length)
    longest = max_length * _CHARACTERS_PER_TOKEN
    ids: list[np.ndarray] = []
    learn: list[np.ndarray] = []
    cut: list[bool] = []
    closing, ends = set(tokenizer.added_tokens_decoder), set()
    for batch in _batches(rendered):
        for encoding, one in zip(_tokenised(tokenizer, [one.text[:longest] for one in batch]), batch, strict=True):
            row = np.asarray(encoding.ids, dtype=np.int32)
            offsets = np.asarray(encoding.offsets, dtype=np.int64).reshape(-1, 2)
            marked = np.zeros(len(row), dtype=np.uint8)
            for start, stop in one.answers:
                # A token that is partly prompt is not learned; one of no width belongs to what follows it.
                inside = (offsets[:, 0] >= start) & (offsets[:, 1] <= stop) & (offsets[:, 0] < stop)
                marked[inside] = 1
                if stop <= longest and inside.any():
                    ends |= closing & {int(row[inside][-1])}
            cut.append(len(row) > max_length or len(one.text) > longest)
            ids.append(row[:max_length])
            learn.append(marked[:max_length])
    encoded = Encoded(
        np.concatenate(ids or [np.empty(0, dtype=np.int32)]),
        np.concatenate(learn or [np.empty(0, dtype=np.uint8)]),
        np.array([len(row) for row in ids], dtype=np.int64),
        np.array(cut, dtype=bool),
        tuple(sorted(ends)),
        pad_of(tokenizer),
        _side(tokenizer),
    )
    if len(encoded) and not encoded.learn.any():
        raise UserError(
            f"at most {max_length} tokens of a row leave no answer in any of the {len(encoded)} rows",
            expected="rows whose answers fit",
            try_=f"a greater max_length; the first row has a prompt of at least {int(encoded.lengths[0])} tokens",
        )
    return encoded
