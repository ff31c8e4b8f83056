"""Questions, each with the context that holds its answer: windows over long contexts, whose tokens know their characters.

Source: Devlin et al. 2019, BERT, section 4.2 (question first, then the context); windows that overlap as in their code.
When: the answer is a piece of a given text. When not: the answer is written freely (generation), or is a class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunewright.core.errors import UserError
from tunewright.core.files import hash_bytes
from tunewright.datasets.columns import folded
from tunewright.datasets.table import Table
from tunewright.modalities.processor_files import load_tokenizer
from tunewright.modalities.text import modality as text
from tunewright.modalities.text import windows

RECOGNITION_ORDER = 40
TOKENIZED = True
SCRATCH_LOADING = None
load_processor = load_tokenizer

_ANSWERS = frozenset(("answers", "answer"))
_LONGEST_QUESTION = 64  # tokens (Devlin et al.'s code)
_OVERLAP = 3  # a window shares one part in so many of max_length with its neighbor (Devlin et al.'s code: 128 of 384)


@dataclass(frozen=True)
class Asked:
    """The text that each question's answer is cut from, and how the answer is chosen."""

    contexts: tuple[str, ...]
    longest_answer: int = 30
    may_be_empty: bool = False
    margin: float = 0.0


def recognize(table: Table, named: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], str] | None:
    """Columns called question and context, or two that are named for the task; answers beside them."""
    if named.get("task") not in (None, "question_answering"):
        return None
    by_name = {folded(name): name for name in table.columns}
    inputs = named.get("text") or tuple(by_name[name] for name in ("question", "context") if name in by_name)
    answers = named.get("target") or tuple(by_name[name] for name in by_name if name in _ANSWERS)
    if len(inputs) != 2 or len(answers) != 1:
        return None
    if named.get("task") is None and [folded(name) for name in inputs] != ["question", "context"]:
        return None
    return tuple(inputs), tuple(answers), "question_answering"


def keeps_together(columns: tuple[str, ...]) -> str:
    """The column whose rows stay on one side of a split: questions on one context tell each other's answers."""
    return columns[1]


def read(table: Table, columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Question and context of each row; a cell that is no text, or is empty, is a ``UserError``."""
    if len(columns) != 2:
        raise UserError(f"{len(columns)} columns were named for questions", expected="the question's and the context's")
    return text.read_filled(table, columns)


def shown(row: tuple[Any, ...]) -> str:
    """The question."""
    return str(row[0])


def compared(row: tuple[Any, ...]) -> tuple[str, ...]:
    """What duplicates are looked for in: the question, of one context each."""
    return (str(row[0]), hash_bytes([row[1].encode()])[:8])


def encode(inputs: Sequence[tuple[Any, ...]], tokenizer: Any, max_length: int) -> windows.Encoded[Asked]:
    """Windows of at most ``max_length`` tokens: the question, cut at 64, and a piece of the context.

    A token's marks (2,) are its start and end in the context, -1 outside of it; truncated are questions that lost their end.
    """
    text.refuse_slow(tokenizer)
    room = max_length - tokenizer.num_special_tokens_to_add(pair=True)
    overlap = room // _OVERLAP
    longest = min(_LONGEST_QUESTION, room - overlap - 1)
    if longest < 1 or overlap < 1:
        raise UserError(f"max_length {max_length} leaves no room for question and context", expected="a larger data.max_length")
    ids: list[list[int]] = []
    segments: list[list[int]] = []
    characters: list[np.ndarray] = []
    rows: list[int] = []
    cut = 0
    for start in range(0, len(inputs), text.ROWS_AT_ONCE):
        part = inputs[start : start + text.ROWS_AT_ONCE]
        questions = [_shortened(str(row[0]), tokenizer, longest) for row in part]
        cut += sum(short != row[0] for short, row in zip(questions, part, strict=True))
        with text.guarded(tokenizer, [*questions, *(row[1] for row in part)]):
            made = tokenizer(
                questions,
                [row[1] for row in part],
                truncation="only_second",
                max_length=max_length,
                stride=overlap,
                return_overflowing_tokens=True,
                return_offsets_mapping=True,
            )
        ids += made["input_ids"]
        segments += made.get("token_type_ids", [])
        rows += [start + index for index in made["overflow_to_sample_mapping"]]
        for window, offsets in enumerate(made["offset_mapping"]):
            inside = np.array([which == 1 for which in made.sequence_ids(window)])
            characters.append(np.where(inside[:, None], np.array(offsets, dtype=np.int32), -1))
    marks = np.concatenate(characters) if characters else np.empty((0, 2), dtype=np.int32)
    asked = Asked(tuple(row[1] for row in inputs))
    return windows.Encoded(text.joined(tokenizer, ids, segments), marks, np.array(rows, dtype=np.int64), asked, cut)


def _shortened(question: str, tokenizer: Any, longest: int) -> str:
    """The question up to its last token that has room."""
    with text.guarded(tokenizer, [question]):
        offsets = tokenizer(question, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return question if len(offsets) <= longest else question[: offsets[longest - 1][1]]
