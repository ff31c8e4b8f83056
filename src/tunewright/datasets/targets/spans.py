"""Answers that are pieces of a context: texts with the character at which they start; several may be right, or none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, final

import numpy as np

from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.types import Finding, Labels
from tunewright.datasets.columns import find, folded
from tunewright.datasets.labels import Where, is_empty
from tunewright.datasets.numbers import as_number
from tunewright.datasets.schema import Schema
from tunewright.datasets.table import Table

_STARTS = "answer_start"  # SQuAD's name, as a key of the answers or as a column beside them


@final
class Answer(str):
    """An answer's text that knows at which character of its context it starts."""

    __slots__ = ("start",)
    start: int

    def __new__(cls, text: str, start: int) -> Answer:
        made = super().__new__(cls, text)
        made.start = start
        return made


class InMemoryData(NamedTuple):
    """One answer as the table has it: ``start`` is -1 where the text is not in the context, ``moved`` where it was told wrong."""

    text: str
    start: int
    moved: bool = False
    several: bool = False  # no start was told and the text occurs more than once: its first place is taken


def read(table: Table, schema: Schema) -> list[tuple[InMemoryData, ...] | None]:
    """The answers of each row, found in its context; () where it has none, None where the cell is of another kind."""
    if len(schema.target) > 1:
        raise UserError(f"{len(schema.target)} target columns were named for answers", expected="one column")
    cells = table.column(find(table, schema.target[0], "target")[0])
    contexts = table.column(find(table, schema.text[1], "text")[0])
    beside = next((name for name in table.columns if folded(name) == _STARTS), None)
    starts = table.columns[beside] if beside else [None] * len(table)
    found = []
    for cell, context, start in zip(cells, contexts, starts, strict=True):
        pairs = _pairs(cell, start)
        usable = pairs is not None and isinstance(context, str)
        found.append(tuple(_placed(text, at, context) for text, at in pairs or ()) if usable else None)
    return found


def _pairs(cell: Any, beside: Any) -> list[tuple[str, int | None]] | None:
    """(text, start or None) of each answer; None for what is no answer."""
    if is_empty(cell):
        return []
    if isinstance(cell, dict):
        texts = cell.get("text")
        texts, starts = (one if isinstance(one, (list, tuple)) else [one] for one in (texts, cell.get(_STARTS)))
        starts = starts if len(starts) == len(texts) else [None] * len(texts)
    elif isinstance(cell, (list, tuple)) and all(isinstance(one, dict) for one in cell):
        texts, starts = [one.get("text") for one in cell], [one.get(_STARTS) for one in cell]
    else:
        texts = list(cell) if isinstance(cell, (list, tuple)) else [cell]
        starts = [beside] * len(texts)
    if not all(isinstance(text, str) for text in texts):
        return None
    numbers = map(as_number, starts)
    return [(text, None if at is None else int(at)) for text, at in zip(texts, numbers, strict=True) if text.strip()]


def _placed(text: str, start: int | None, context: str) -> InMemoryData:
    if start is not None and start >= 0 and context.startswith(text, start):
        return InMemoryData(text, start)
    times = context.count(text)
    if start is None:
        return InMemoryData(text, context.find(text), several=times > 1)
    return InMemoryData(text, context.find(text) if times == 1 else -1, moved=times == 1)


def faults(values: Sequence[Any], task: str, where: Where) -> list[UserError]:
    """Cells that are no answers, and answers that are not in their context."""
    strange = [index for index, value in enumerate(values) if value is None]
    lost = [index for index, value in enumerate(values) if any(answer.start < 0 for answer in value or ())]
    found = []
    if strange:
        found.append(
            UserError(
                f"{where(strange)}: the answer is not text",
                expected='a text, or {"text": ["…"], "answer_start": [0]}; empty where there is none',
            )
        )
    if lost:
        first = next(answer.text for answer in values[lost[0]] if answer.start < 0)
        raise_for = f"{where(lost)}: the answer {first!r} is not in its context at the place that was told"
        found.append(UserError(raise_for, expected="an answer that is a piece of its context", try_="mend or remove those rows"))
    return found


def notes(values: Sequence[Any], where: Where) -> list[Finding]:
    """What was mended: starts that were wrong, and texts whose first place was taken."""
    moved = [index for index, value in enumerate(values) if any(answer.moved for answer in value)]
    several = [index for index, value in enumerate(values) if any(answer.several for answer in value)]
    told = (
        ("answer_moved", moved, "the answer does not start where it was told; the one place where it occurs is taken"),
        ("answer_several", several, "the answer occurs several times and no start is told; its first place is taken"),
    )
    return [
        Finding(code, f"{where(rows)}: {said} ({len(rows)} rows)", "warning", tuple(rows), len(rows))
        for code, rows, said in told
        if rows
    ]


def labels(values: Sequence[Any], task: str, names: Sequence[str]) -> Labels:
    """The two ends that are looked for; ``mean`` is the share of train rows without an answer."""
    return Labels(task, ("start", "end"), mean=float(np.mean([not value for value in values])))


def encode(values: Sequence[Any], labels: Labels, where: Where) -> np.ndarray:
    """A tuple of right answers for each row, (n,) objects."""
    return object_array(tuple(Answer(answer.text, answer.start) for answer in value) for value in values)
