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
from tunewright.datasets.ragged import IGNORED, Ragged
from tunewright.modalities.language import chat_template
from tunewright.modalities.language.chat_template import Rendered, Template
from tunewright.modalities.language.messages import Conversation
from tunewright.modalities.text import modality as text

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Encoded:
    """n examples of token ids behind one another, each ``lengths[example]`` long.

    ``learn`` is 1 for each token that the model is to predict. ``cut`` says which examples lost their end. ``rows`` are the rows
    that they are of, several of a long document, and ``sizes`` the UTF-8 bytes of what is learned, end tokens not counted.
    ``ends`` are the ids that close an answer, empty where there are none. ``pad_id`` and ``side`` are for batches. ``said``: in
    which words conversations were written.
    """

    ids: np.ndarray  # (all tokens,) int32
    learn: np.ndarray  # (all tokens,) uint8
    lengths: np.ndarray  # (n,) int64
    cut: np.ndarray  # (n,) bool
    rows: np.ndarray  # (n,) int64
    sizes: np.ndarray  # (n,) int64
    ends: tuple[int, ...]
    pad_id: int
    side: str  # where padding goes
    said: str = ""
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
    def targets(self) -> Ragged:
        """What each token is to be told by those before it: itself where it is learned; an example's first is told by nothing."""
        values = np.where(self.learn == 1, self.ids, IGNORED).astype(np.int64)
        values[self.starts[self.lengths > 0]] = IGNORED
        return Ragged(values, self.lengths)

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
        some = {name: getattr(self, name)[rows] for name in ("lengths", "cut", "rows", "sizes")}
        return replace(self, ids=ids, learn=learn, **some)

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
    return _encode(tokenizer, rendered, max_length, form.said)


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


def encode_raw(tokenizer: Any, texts: Iterable[str], max_length: int, *, ends: bool = False) -> Encoded:
    """Documents in blocks of at most ``max_length`` tokens; each token but a document's first is learned, and only once.

    A block begins with the last token of the one before it. A tokenizer that begins texts with a token begins each document with
    it. ``ends`` closes each with an end-of-text token; to a model that never saw one it costs many times what a word does.
    """
    _refuse(tokenizer, max_length)
    begins, eos = chat_template.bos_of(tokenizer), _eos(tokenizer) if ends else ""
    ids: list[np.ndarray] = []
    rows: list[int] = []
    sizes: list[int] = []
    row = 0
    for batch in _batches(texts):
        encodings = tokenized(tokenizer, [f"{begins}{document}{eos}" if document else begins for document in batch])
        for document, encoding in zip(batch, encodings, strict=True):
            whole = np.asarray(encoding.ids or [pad_of(tokenizer)], dtype=np.int32)
            blocks = [whole[start : start + max_length] for start in range(0, max(1, len(whole) - 1), max_length - 1)]
            first = encoding.offsets[1][0] - len(begins) if len(whole) > 1 else len(document)
            ids += blocks
            rows += [row] * len(blocks)
            sizes += [len(document[max(0, first) :].encode()), *[0] * (len(blocks) - 1)]  # of the row, all its blocks together
            row += 1
    if not any(len(block) > 1 for block in ids):
        raise UserError("every document is empty", expected="text to learn from")
    lengths = np.array([len(block) for block in ids], dtype=np.int64)
    learn = np.ones(int(lengths.sum()), dtype=np.uint8)
    learn[np.cumsum(lengths) - lengths] = 0
    numbers, cut = np.array(rows, dtype=np.int64), np.zeros(len(ids), dtype=bool)
    return Encoded(np.concatenate(ids), learn, lengths, cut, numbers, np.array(sizes), (), pad_of(tokenizer), _side(tokenizer))


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
    text.refuse_slow(tokenizer)
    if max_length < 2:
        raise UserError(f"max_length {max_length} leaves nothing to predict", expected="at least 2 tokens")


def _batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(items)
    while batch := list(islice(iterator, text.ROWS_AT_ONCE)):
        yield batch


def tokenized(tokenizer: Any, texts: Sequence[str]) -> Sequence[Any]:
    """Ids and character offsets of whole texts; special tokens in them are read, none is added, none is cut."""
    with text.guarded(tokenizer, texts):
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
        found: Sequence[Any] = tokenizer.backend_tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return found


def _encode(tokenizer: Any, rendered: Iterable[Rendered], max_length: int, said: str = "") -> Encoded:
    _refuse(tokenizer, max_length)
    longest = max_length * text.CHARACTERS_PER_TOKEN
    ids: list[np.ndarray] = []
    learn: list[np.ndarray] = []
    cut: list[bool] = []
    sizes: list[int] = []
    closing, ends = set(tokenizer.added_tokens_decoder), set()
    special = np.array(sorted(closing), dtype=np.int64)
    for batch in _batches(rendered):
        for encoding, one in zip(tokenized(tokenizer, [one.text[:longest] for one in batch]), batch, strict=True):
            row = np.asarray(encoding.ids, dtype=np.int32)
            offsets = np.asarray(encoding.offsets, dtype=np.int64).reshape(-1, 2)
            marked, size = np.zeros(len(row), dtype=np.uint8), 0
            for start, stop in one.answers:
                # A token that is partly prompt is not learned; one of no width belongs to what follows it.
                inside = (offsets[:, 0] >= start) & (offsets[:, 1] <= stop) & (offsets[:, 0] < stop)
                marked[inside] = 1
                if stop <= longest and inside.any():
                    ends |= closing & {int(row[inside][-1])}
                words = offsets[:max_length][inside[:max_length] & ~np.isin(row[:max_length], special)]
                size += len(one.text[words[0, 0] : words[-1, 1]].encode()) if len(words) else 0
            cut.append(len(row) > max_length or len(one.text) > longest)
            ids.append(row[:max_length])
            learn.append(marked[:max_length])
            sizes.append(size)
    return Encoded(
        np.concatenate(ids or [np.empty(0, dtype=np.int32)]),
        np.concatenate(learn or [np.empty(0, dtype=np.uint8)]),
        np.array([len(row) for row in ids], dtype=np.int64),
        np.array(cut, dtype=bool),
        np.arange(len(ids)),
        np.array(sizes, dtype=np.int64),
        tuple(sorted(ends)),
        pad_of(tokenizer),
        _side(tokenizer),
        said,
    )
