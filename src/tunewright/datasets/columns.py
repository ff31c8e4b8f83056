"""What a column's name and values suggest: text, target, identifier, pair."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from tunewright.core.errors import UserError, nearest, unknown
from tunewright.core.types import Finding
from tunewright.datasets.numbers import as_number
from tunewright.datasets.table import Table


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


TEXT_NAMES = _names(
    "text sentence review document content message question utterance body tweet comment query phrase post headline abstract"
)
TARGET_NAMES = _names(
    "label labels target targets class category categories intent sentiment score rating stars y similarity similarity_score tags"
)
_ID_NAMES = _names("id idx index uid guid uuid row")
_PAIR_NAMES = (("premise", "hypothesis"), ("text", "text_pair"), ("sentence", "sentence_pair"))
_PAIR_ENDING = re.compile(r"(?P<stem>.*?)[ _-]?(?P<end>1|2|a|b)", re.IGNORECASE)
_WORDS_OF_A_TEXT = 3.0  # a column of at least so many words on average holds texts rather than names (a guess)


def folded(name: str) -> str:
    return name.strip().casefold()


def find(table: Table, name: str, option: str) -> tuple[str, list[Finding]]:
    """The column a user means; another case or outer space is accepted and said."""
    if name in table.columns:
        return name, []
    alike = [column for column in table.columns if folded(column) == folded(name)]
    if len(alike) != 1:
        meant = nearest(name, table.columns)
        raise unknown(f"{table.source}: column", name, table.columns, try_=f"--{option} '{meant}'" if meant else "")
    message = f"{table.source}: column '{name}' is written '{alike[0]}' there"
    return alike[0], [Finding("column_case", message, "warning", count=1)]


def named(columns: Iterable[str], names: frozenset[str]) -> list[str]:
    return [column for column in columns if folded(column) in names]


def present(values: Sequence[Any]) -> list[Any]:
    return [value for value in values if value is not None and not (isinstance(value, str) and not value)]


def is_numeric(values: Sequence[Any]) -> bool:
    return all(as_number(value) is not None for value in present(values))


def is_binary(values: Sequence[Any]) -> bool:
    """Every cell is 0 or 1 (or false or true)."""
    return bool(values) and all(isinstance(value, bool) or as_number(value) in (0.0, 1.0) for value in values)


def is_wordy(values: Sequence[Any]) -> bool:
    """Cells are strings of several words."""
    strings = present(values)
    if not strings or not all(isinstance(value, str) for value in strings):
        return False
    return sum(len(value.split()) for value in strings) / len(strings) >= _WORDS_OF_A_TEXT


def is_words(values: Sequence[Any]) -> bool:
    """Cells are strings that are not all numbers."""
    strings = present(values)
    return all(isinstance(value, str) for value in strings) and not is_numeric(values)


def is_identifier(name: str, values: Sequence[Any]) -> bool:
    """Named as one, or counting the rows."""
    if folded(name) in _ID_NAMES or folded(name).endswith("_id") or folded(name).startswith("unnamed"):
        return True
    numbers = [as_number(value) for value in values]
    if len(numbers) < 3 or numbers[0] is None:
        return False
    return all(number == numbers[0] + step for step, number in enumerate(numbers))


def pairs(columns: Sequence[str]) -> list[tuple[str, str]]:
    """Columns whose names say that they belong together: sentence1 and sentence2, premise and hypothesis."""
    by_name = {folded(column): column for column in columns}
    found = [(by_name[first], by_name[second]) for first, second in _PAIR_NAMES if first in by_name and second in by_name]
    for name, column in by_name.items():
        match = _PAIR_ENDING.fullmatch(name)
        if match and match["end"] in "1a":
            partner = name[:-1] + {"1": "2", "a": "b"}[match["end"]]
            if partner in by_name and match["stem"]:
                found.append((column, by_name[partner]))
    return found


def ambiguous(table: Table, what: str, candidates: Sequence[str], option: str) -> UserError:
    shown = ", ".join(f"'{name}'" for name in candidates)
    return UserError(
        f"{table.source}: the {what} column could be {shown}",
        expected=f"the {what} column by name",
        try_=" or ".join(f"--{option} '{name}'" if " " in name else f"--{option} {name}" for name in candidates[:3]),
    )
