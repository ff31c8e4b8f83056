"""Labels in an order that depends on nothing but the labels: numbers by size, words by code point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tunewright.core.errors import UserError, nearest
from tunewright.core.rounding import given_spread_or_one
from tunewright.core.types import Labels
from tunewright.datasets.numbers import as_number
from tunewright.datasets.table import listed
from tunewright.datasets.written_lists import is_broken, texts_of

Where = Callable[[Sequence[int]], str]


def rows_of(indices: Sequence[int]) -> str:
    """Where rows are when no table tells."""
    return f"row{'' if len(indices) == 1 else 's'} {listed(indices)}"


def is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, float) and value != value)


def label_name(value: Any) -> str:
    """A label as people read it; text stays as it is written."""
    return value if isinstance(value, str) else str(value)


def _in_order(names: set[str]) -> tuple[str, ...]:
    numbers = {name: as_number(name) for name in names}
    if all(number is not None for number in numbers.values()):
        return tuple(sorted(names, key=lambda name: (numbers[name], name)))
    return tuple(sorted(names))


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true/false"
    return "number" if isinstance(value, (int, float)) else "text" if isinstance(value, str) else type(value).__name__


def _mixed_kinds(values: Sequence[Any], indices: Sequence[int], where: Where) -> list[UserError]:
    first: dict[str, int] = {}
    for index, value in zip(indices, values, strict=True):
        first.setdefault(_kind(value), index)
    if nested := [kind for kind in first if kind not in ("text", "number", "true/false")]:
        return [UserError(f"{where([first[nested[0]]])}: the label is a {nested[0]}", expected="text or a number")]
    if len(first) < 2:
        return []
    shown = "; ".join(f"{kind} in {where([index])}" for kind, index in first.items())
    return [
        UserError(f"labels are of different types: {shown}", expected="one type", try_='write all labels as text ("1", not 1)')
    ]


def _written_lists(values: Sequence[Any], where: Where) -> list[UserError]:
    wrong = [index for index, value in enumerate(values) if texts_of(value) is not None or is_broken(value)]
    if not wrong:
        return []
    return [
        UserError(
            f"{where(wrong)}: the label {values[wrong[0]][:60]!r} is a list that was written as text",
            expected="one label in each row",
            try_="--task multi_label",
        )
    ]


def _same_number_twice(values: Sequence[Any], where: Where) -> list[UserError]:
    spellings: dict[float, dict[str, int]] = {}
    for index, value in enumerate(values):
        number = as_number(value)
        if number is not None:
            spellings.setdefault(number, {}).setdefault(label_name(value), index)
    doubled = [found for found in spellings.values() if len(found) > 1]
    if not doubled:
        return []
    shown = ", ".join(f"'{name}' ({where([index])})" for name, index in doubled[0].items())
    return [
        UserError(
            f"the same number is written in several ways: {shown}",
            expected="one spelling",
            try_="make them alike, or --task regression",
        )
    ]


def label_faults(values: Sequence[Any], task: str, where: Where = rows_of) -> list[UserError]:
    """All that makes these values unusable as targets of the task."""
    if task == "multi_label":
        flat = [(index, label) for index, labels in enumerate(values) for label in labels]
        return _mixed_kinds([label for _, label in flat], [index for index, _ in flat], where)
    faults = missing_faults(values, task, where)
    filled = [index for index in range(len(values)) if not is_empty(values[index])]
    if task == "classification":
        faults += _mixed_kinds([values[index] for index in filled], filled, where) + _written_lists(values, where)
        return faults + _same_number_twice(values, where)
    wrong = [index for index in filled if as_number(values[index]) is None]
    if wrong:
        faults.append(
            UserError(
                f"{where(wrong)}: {values[wrong[0]]!r} is not a number",
                expected=f"numbers as the target of {task}",
                try_="--task classification",
            )
        )
    return faults


def missing_faults(values: Sequence[Any], task: str, where: Where = rows_of) -> list[UserError]:
    """Rows that have no target at all."""
    empty = [index for index, value in enumerate(values) if is_empty(value)]
    if not empty:
        return []
    return [
        UserError(
            f"{where(empty)}: {len(empty)} rows have no {'label' if task == 'classification' else 'number to learn'}",
            expected="a target in every row",
            try_="fill them in, or remove those rows",
        )
    ]


def make_labels(values: Sequence[Any], task: str, *, names: Sequence[str] = ()) -> Labels:
    """What the train targets mean. ``names`` fixes the classes, as several 0/1 columns do."""
    if task == "classification":
        return Labels(task, _in_order({label_name(value) for value in values}))
    if task == "multi_label":
        return Labels(task, tuple(names) or _in_order({label_name(label) for labels in values for label in labels}))
    numbers = np.array([as_number(value) for value in values], dtype=np.float64)
    return Labels(task, (), float(numbers.mean()), given_spread_or_one(numbers))


def label_positions(found: Sequence[tuple[int, Any]], labels: Labels, where: Where) -> list[int]:
    """The class number of each (row, label); labels that train has not are named with their rows."""
    position = {name: number for number, name in enumerate(labels.names)}
    unseen: dict[str, list[int]] = {}
    for index, label in found:
        if label_name(label) not in position:
            unseen.setdefault(label_name(label), []).append(index)
    if unseen:
        name, indices = next(iter(unseen.items()))
        others = f"; and {len(unseen) - 1} more such labels" if len(unseen) > 1 else ""
        raise UserError(
            f"{where(indices)}: the label '{name}' is not among the {len(labels.names)} labels of train{others}",
            expected=f"one of {listed(labels.names, shown=12)}",
            nearest=nearest(name, labels.names),
            try_="mend the label, remove the rows, or add such rows to train",
        )
    return [position[label_name(label)] for _, label in found]


def encode(values: Sequence[Any], labels: Labels, where: Where = rows_of) -> np.ndarray:
    """Targets as numbers: int64 (n,) classes, float32 (n, classes) of 0 and 1, or float32 (n,) in the target's own unit."""
    if labels.task == "classification":
        return np.array(label_positions(list(enumerate(values)), labels, where), dtype=np.int64)
    if labels.task == "multi_label":
        found = [(index, label) for index, row in enumerate(values) for label in row]
        encoded = np.zeros((len(values), len(labels.names)), dtype=np.float32)
        encoded[[index for index, _ in found], label_positions(found, labels, where)] = 1.0
        return encoded
    return np.array([as_number(value) for value in values], dtype=np.float32)
