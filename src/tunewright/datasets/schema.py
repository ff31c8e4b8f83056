"""Which columns are the text, the target, the group: taken as named, guessed where only one reading is possible."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict, Unpack

from tunewright.core.errors import UserError
from tunewright.core.registry import check_name, list_parts, load_part
from tunewright.core.types import Finding
from tunewright.datasets import columns as look
from tunewright.datasets.numbers import as_number
from tunewright.datasets.separators import USUAL, possible, refuse_broken, separator_of
from tunewright.datasets.table import Table, listed
from tunewright.datasets.written_lists import items_of, texts_of

_FEW_CLASSES = 20  # more distinct whole numbers than this are a quantity unless they count up class by class (a guess)

_CODE = re.compile(r"0\d+")  # '007' names something
_LISTS = ("text", "target", "ignored", "said")


def is_untargeted(task: str | None) -> bool:
    """Whether the texts of a task are themselves what is learned."""
    return task is not None and bool(load_part("tasks", task).UNTARGETED)


def _recognizers() -> list[str]:
    """The modalities that may recognize a table's columns, in the order in which they are asked."""
    orders = {part.name: load_part("modalities", part.name).RECOGNITION_ORDER for part in list_parts("modalities")}
    return sorted((name for name in orders if orders[name] is not None), key=lambda name: (orders[name], name))


@dataclass(frozen=True)
class Schema:
    """The columns of a task. ``said`` tells in sentences what was guessed and what is not used.

    ``kinds``: what each input column is, where they are of several kinds. ``separator``: what stands between the labels of a row
    that are written as one text.
    """

    text: tuple[str, ...]
    target: tuple[str, ...]
    task: str
    group: str | None = None
    time: str | None = None
    kind: str = "text"
    ignored: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    kinds: tuple[str, ...] = ()
    separator: str = USUAL

    def as_dict(self) -> dict[str, Any]:
        """What prediction needs later, and what was said, as JSON holds it."""
        plain = {name: getattr(self, name) for name in ("task", "group", "time", "kind", "separator")}
        return plain | {name: list(getattr(self, name)) for name in (*_LISTS, "kinds")}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Schema:
        lists: dict[str, Any] = {name: tuple(saved[name]) for name in _LISTS} | {"kinds": tuple(saved.get("kinds", ()))}
        plain: dict[str, Any] = {name: saved[name] for name in ("task", "group", "time", "kind")}
        return cls(**plain, separator=saved.get("separator", USUAL), **lists)


class Named(TypedDict, total=False):
    """What the user named; whatever is missing or None is guessed (group and time: not used)."""

    text: Sequence[str] | str | None
    target: Sequence[str] | str | None
    task: str | None
    kind: str | None
    group: str | None
    time: str | None
    separator: str | None


def _as_tuple(names: Sequence[str] | str | None) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names or ())


def _text_by_name(table: Table, free: list[str]) -> tuple[str, ...]:
    pairs = look.pairs([name for name in free if not look.is_numeric(table.columns[name])])
    if len(pairs) == 1:
        return pairs[0]
    known = look.named(free, look.TEXT_NAMES)
    plain = [name for name in known if look.folded(name) == "text"]
    if len(plain) == 1 or len(known) == 1:
        return tuple(plain or known)
    if len(known) > 1:
        raise look.ambiguous(table, "text", known, "text")
    return ()


def _text_by_values(table: Table, free: list[str]) -> tuple[str, ...]:
    candidates = [name for name in free if not look.is_identifier(name, table.columns[name])]
    wordy = [name for name in candidates if look.is_wordy(table.columns[name])]
    found = wordy or [name for name in candidates if look.is_words(table.columns[name])]
    if len(found) > 1:
        raise look.ambiguous(table, "text", found, "text")
    if not found:
        raise UserError(
            f"{table.source} has no text column; its columns are {listed(map(repr, table.columns), shown=12)}",
            expected="a column of words",
            try_="--text NAME",
        )
    return tuple(found)


def guess_target(table: Table, free: list[str]) -> tuple[str, ...]:
    known = look.named(free, look.TARGET_NAMES)
    if len(known) == 1:
        return (known[0],)
    if len(known) > 1:
        raise look.ambiguous(table, "target", known, "target")
    candidates = [
        name for name in free if not look.is_identifier(name, table.columns[name]) and not look.is_wordy(table.columns[name])
    ]
    if len(candidates) > 1 and all(look.is_binary(table.columns[name]) for name in candidates):
        return tuple(candidates)
    if len(candidates) > 1:
        raise look.ambiguous(table, "target", candidates, "target")
    if not candidates:
        raise UserError(
            f"{table.source} has no target column; its columns are {listed(map(repr, table.columns), shown=12)}",
            expected="a column of labels or numbers to learn",
            try_="add one, or name it: --target NAME; text to read on from has none: --task causal_lm",
        )
    return (candidates[0],)


def _is_quantity(values: Sequence[Any]) -> bool:
    """Numbers that measure rather than name: with decimals, or many and not counting up class by class."""
    if any(isinstance(value, str) and _CODE.fullmatch(value.strip()) for value in values):
        return False
    numbers = [number for number in map(as_number, values) if number is not None]
    distinct = sorted(set(numbers))
    if any(not number.is_integer() for number in distinct):
        return True
    counts_up = distinct[0] in (0.0, 1.0) and distinct[-1] - distinct[0] == len(distinct) - 1
    return len(distinct) > _FEW_CLASSES and (not counts_up or len(distinct) > len(numbers) / 4)


def guess_task(columns: Sequence[Sequence[Any]], texts: int) -> str:
    """The task that the target's values and the number of text columns suggest."""
    if len(columns) > 1:
        return "multi_label"
    values = look.present(columns[0])
    if any(isinstance(value, (list, tuple)) or (isinstance(value, str) and USUAL in value) for value in values):
        return "multi_label"
    if any(texts_of(value) is not None for value in values) or (values and all(items_of(value) is not None for value in values)):
        return "multi_label"
    if values and look.is_numeric(values) and _is_quantity(values):
        return "sentence_similarity" if texts == 2 else "regression"
    return "classification"


def _refuse_overlap(table: Table, used: Sequence[str]) -> None:
    doubled = [name for name in used if used.count(name) > 1]
    if doubled:
        raise UserError(
            f"{table.source}: column '{doubled[0]}' is named for two purposes", expected="one purpose for each column"
        )


def _say(
    text: tuple[str, ...], target: tuple[str, ...], task: str, named: Named, ignored: Sequence[str], kind: str = "text"
) -> tuple[str, ...]:
    def origin(key: str) -> str:
        return "as named" if named.get(key) else "guessed"

    said = [
        f"{kind.capitalize()}: {' and '.join(map(repr, text))} ({origin('text')}).",
        *([f"Target: {', '.join(map(repr, target))} ({origin('target')})."] if target else []),
        f"Task: {task.replace('_', '-')} ({origin('task')}).",
    ]
    if ignored:
        said.append(f"Ignored columns: {', '.join(map(repr, ignored))}.")
    return tuple(said)


def _resolve(table: Table, named: Named, findings: list[Finding]) -> dict[str, tuple[str, ...]]:
    """The columns that were named, as the table writes them; what was odd about a name is added to ``findings``."""
    columns: dict[str, tuple[str, ...]] = {}
    given = {"text": named.get("text"), "target": named.get("target"), "group": named.get("group"), "time": named.get("time")}
    for option, names in given.items():
        found = [look.find(table, name, option) for name in _as_tuple(names)]
        columns[option] = tuple(column for column, _ in found)
        findings += [finding for _, said in found for finding in said]
    return columns


def _of_kind(
    table: Table,
    kind: str,
    found: tuple[tuple[str, ...], tuple[str, ...], str],
    columns: Mapping[str, tuple[str, ...]],
    named: Named,
    findings: Sequence[Finding],
) -> Schema:
    """Rows of another kind than texts."""
    text, target, task = found
    group, time = ((columns[option] or (None,))[0] for option in ("group", "time"))
    _refuse_overlap(table, [*text, *target])
    ignored = tuple(name for name in table.columns if name not in (*text, *target, group, time))
    said = _say(text, target, task, named, ignored, kind)
    encoder = load_part("modalities", kind)
    if group is None and hasattr(encoder, "keeps_together"):
        group = encoder.keeps_together(text)
        said = (*said, f"Rows with the same '{group}' stay on one side of every split.")
    kinds = encoder.kinds_of(table, text) if hasattr(encoder, "kinds_of") else ()
    return Schema(text, target, task, group, time, kind, ignored, said, tuple(findings), kinds)


def guess_schema(table: Table, **named: Unpack[Named]) -> Schema:
    """Take what is named, guess what is not; two possible readings are a ``UserError`` that lists them."""
    if named.get("separator") and named.get("task") is None:
        named["task"] = "multi_label"
    schema = _guessed(table, named)
    cells = table.columns.get(schema.target[0], []) if len(schema.target) == 1 else []
    if schema.task == "multi_label" and cells:
        return _separated(schema, cells, named.get("separator"), table)
    if named.get("separator"):
        raise UserError(
            f"data.separator is named, but a row of {schema.task.replace('_', '-')} has one target",
            expected="one column with several labels in a row",
            try_="--task multi_label, or name no separator",
        )
    if schema.task == "classification" and named.get("task") is None:
        _ask_for_task(schema, cells, table)
    return schema


def _separated(schema: Schema, cells: Sequence[Any], separator: str | None, table: Table) -> Schema:
    """With what separates the labels of a row, which is said where any row has it."""
    if separator:
        return replace(schema, separator=separator, said=(*schema.said, f"Labels are separated by {separator!r} (as named)."))
    refuse_broken(cells, table.where, bare=True)
    found, seen = separator_of(cells, schema.target[0], table.source)
    said = [f"Labels are separated by {found!r}{'' if found == USUAL else ' (guessed)'}."] if seen else []
    written = sum(items_of(cell) is not None for cell in cells)
    said += [f"Labels of {written} rows are lists that were written as text, and are read as lists."] if written else []
    return replace(schema, separator=found, said=(*schema.said, *said))


def _ask_for_task(schema: Schema, cells: Sequence[Any], table: Table) -> None:
    sign = possible(cells)
    if sign is not None:
        example = next(cell for cell in cells if isinstance(cell, str) and sign in cell)
        raise UserError(
            f"{table.source}: the target '{schema.target[0]}' has {example[:60]!r}; other rows have the labels on both sides of "
            f"{sign!r} alone or in other combinations, so it may be one class or several labels",
            expected="the task by name",
            try_="--task multi_label for several labels; --task classification for one class in each row",
        )


def _guessed(table: Table, named: Named) -> Schema:
    """The columns and the task."""
    findings: list[Finding] = []
    task = named.get("task")
    task = None if task is None else check_name("tasks", task)
    columns = _resolve(table, named, findings)
    text, target, side = columns["text"], columns["target"], columns["group"] + columns["time"]
    wanted = named.get("kind")
    wanted = None if wanted is None else check_name("modalities", wanted)
    known = {"text": text, "target": target, "task": task, "kind": wanted, "side": side}
    for kind in _recognizers() if wanted is None else (wanted,) if wanted != "text" else ():
        found = load_part("modalities", kind).recognize(table, known)
        if found is not None:
            return _of_kind(table, kind, found, columns, named, findings)
        if wanted == kind:
            raise UserError(
                f"{table.source} has no columns that are {kind}: {listed(map(repr, table.columns), shown=12)}",
                expected=f"columns of {kind}, named by data.input and data.target",
            )
    if len(text) > 2:
        raise UserError(f"{len(text)} text columns were named", expected="one, or two for pairs")
    if is_untargeted(task) and target:
        raise UserError(f"texts are learned themselves, but the target '{target[0]}' was named", expected=f"no target for {task}")
    free = [name for name in table.columns if name not in (*text, *target, *side)]
    text = text or _text_by_name(table, free)
    target = target if target or is_untargeted(task) else guess_target(table, [name for name in free if name not in text])
    text = text or _text_by_values(table, [name for name in free if name not in target])
    _refuse_overlap(table, [*text, *target])
    task = task or guess_task([table.columns[name] for name in target], len(text))
    ignored = tuple(name for name in table.columns if name not in (*text, *target, *side))
    group, time = ((columns[option] or (None,))[0] for option in ("group", "time"))
    return Schema(text, target, task, group, time, "text", ignored, _say(text, target, task, named, ignored), tuple(findings))
