"""What stands between the labels of a row that are written as one text: told by the user, or by the training rows.

A separator is taken as such where splitting there leaves fewer labels than there were combinations: 'a, b', 'a' and 'b' are two
labels. Where it does not (class names may have a comma), the user is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tunewright.core.errors import UserError
from tunewright.datasets.written_lists import is_broken, items_of, unreadable

USUAL = "|"  # always one, where any cell has it
_GUESSED = (";", ",")


def labels_of(cell: Any, separator: str) -> tuple[Any, ...]:
    """A list as it is, written as text or not; a text in its parts; nothing for an empty cell."""
    if isinstance(cell, (list, tuple)):
        return tuple(cell)
    if isinstance(cell, str):
        items = items_of(cell)
        return split(cell, separator) if items is None else items
    return () if cell is None else (cell,)


def split(cell: str, separator: str) -> tuple[str, ...]:
    """The parts that are not empty, without outer space."""
    return tuple(part.strip() for part in cell.split(separator) if part.strip())


def recurs(cells: Sequence[str], separator: str) -> bool:
    """Whether fewer labels than combinations are left where cells are split."""
    combinations = {frozenset(split(cell, separator)) for cell in cells}
    return any(separator in cell for cell in cells) and len({part for parts in combinations for part in parts}) < len(
        combinations
    )


def possible(cells: Sequence[Any]) -> str | None:
    """A separator that would make several labels of what seems to be one class in each row."""
    return next((sign for sign in _GUESSED if recurs(_texts(cells), sign)), None)


def separator_of(cells: Sequence[Any], target: str, source: str) -> tuple[str, bool]:
    """What separates the labels of these rows, and whether any row has it; a ``UserError`` asks where that is not certain."""
    texts = _texts(cells)
    if any(USUAL in cell for cell in texts):
        chosen = USUAL
    else:
        chosen = possible(cells) or USUAL
        doubtful = [(sign, cell) for sign in _GUESSED for cell in texts if sign in cell]
        if chosen == USUAL and doubtful:
            raise _ask(source, target, *doubtful[0])
    parts = [part for cell in texts for part in split(cell, chosen)]
    other = next((sign for sign in _GUESSED if sign != chosen and recurs(parts, sign)), None)
    if other is not None:
        raise _ask(source, target, other, next(part for part in parts if other in part))
    return chosen, any(chosen in cell for cell in texts)


def refuse_broken(cells: Sequence[Any], where: Callable[[Sequence[int]], str], *, bare: bool = False) -> None:
    """Lists that were written as text in a way that cannot be read; ``bare``: without quotes, too."""
    broken = [index for index, cell in enumerate(cells) if is_broken(cell, bare=bare)]
    if broken:
        raise unreadable(where(broken), cells[broken[0]])


def _texts(cells: Sequence[Any]) -> list[str]:
    return [cell for cell in cells if isinstance(cell, str) and items_of(cell) is None]


def _ask(source: str, target: str, sign: str, cell: str) -> UserError:
    return UserError(
        f"{source}: the target '{target}' has {cell[:60]!r}, which may be one label or several, separated by {sign!r}",
        expected="the separator by name (data.separator)",
        try_=f"--separator '{sign}' for several; --separator '{USUAL}' for one",
    )
