"""Lists that a program wrote as text: JSON, Python (pandas writes a list's repr into a csv) and numpy (no commas).

Nothing is evaluated: the text is read item by item, and only strings, numbers, true and false are items.
"""

from __future__ import annotations

import ast
import re
import warnings
from typing import Any

from tunewright.core.errors import UserError
from tunewright.datasets.formats.strict_json import parse

_CLOSES = {"[": "]", "(": ")", "{": "}"}
_ITEM = re.compile(r"""'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+"|[-+.\w]++""", re.DOTALL)
_COMMA, _SPACE = re.compile(r"\s*+,\s*+"), re.compile(r"\s++")
_WORDS = {"True": True, "False": False, "true": True, "false": False}
_INTEGER = re.compile(r"[-+]?\d{1,18}", re.ASCII)
_REAL = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_BROKEN = re.compile(r"\[\s*(['\"]|np\.).*\]", re.DOTALL)
_BARE = re.compile(r"\[.*(,|\.\.\.).*\]", re.DOTALL)


class _NoItemError(ValueError):
    """What stands there is no string, number, true or false."""


def items_of(cell: Any) -> tuple[Any, ...] | None:
    """The items of a list that is written as text, None where the cell is none: ``"['EU', 'rejects']"``."""
    text = cell.strip() if isinstance(cell, str) else ""
    if len(text) < 2 or _CLOSES.get(text[0]) != text[-1]:
        return None
    inner = text[1:-1].strip()
    if text[0] == "[" and (found := _json(text)) is not None:
        return found
    found = _scanned(inner, _COMMA)
    if found is None and text[0] == "[":
        found = _scanned(inner, _SPACE)
    if text[0] != "[" and (not found or (text[0] == "(" and "," not in inner)):  # (a word), {} and () are no lists
        return None
    return found


def texts_of(cell: Any) -> tuple[str, ...] | None:
    """The items as text, where some of them are strings: lists of numbers alone may be anything."""
    items = items_of(cell)
    return tuple(map(str, items)) if items and any(isinstance(item, str) for item in items) else None


def is_broken(cell: Any, *, bare: bool = False) -> bool:
    """Whether a cell begins and ends as a list of strings, but cannot be read as one (numpy leaves out the middle of long ones).

    ``bare``: items without quotes are suspected, too.
    """
    text = cell.strip() if isinstance(cell, str) and "[" in cell else ""
    shaped = _BROKEN.fullmatch(text) or (bare and _BARE.fullmatch(text))
    return bool(shaped) and items_of(text) is None


def unreadable(where: str, cell: str) -> UserError:
    """What to do about a broken list."""
    return UserError(
        f"{where}: {cell[:60]!r} looks like a list that was written as text, but cannot be read",
        expected="strings or numbers, as [\"EU\", \"rejects\"] or ['EU', 'rejects']",
        try_="write the file as jsonl or Parquet, which keep lists; if it is none, name what separates labels: --separator ','",
    )


def _json(text: str) -> tuple[Any, ...] | None:
    try:
        found = parse(text, "a cell")
    except UserError:
        return None
    return tuple(found) if all(isinstance(item, (str, int, float)) for item in found) else None


def _scanned(inner: str, between: re.Pattern[str]) -> tuple[Any, ...] | None:
    """Items with one separator between them, and perhaps a last comma."""
    found, place = [], 0
    while place < len(inner):
        item = _ITEM.match(inner, place)
        if item is None:
            return None
        try:
            found.append(_value(item[0]))
        except _NoItemError:
            return None
        gap = between.match(inner, item.end())
        place = gap.end() if gap else item.end()
        if gap is None and place < len(inner):
            return None
    return tuple(found)


def _value(token: str) -> Any:
    if token[0] in "'\"":
        return _string(token)
    if token in _WORDS:
        return _WORDS[token]
    if _INTEGER.fullmatch(token):
        return int(token)
    if not _REAL.fullmatch(token):
        raise _NoItemError(token)
    return float(token) if not token.lstrip("-+").isdigit() else token  # more digits than 64 bits hold are an identifier


def _string(token: str) -> str:
    """A quoted string; ``literal_eval`` sees this one token alone, and only to read what stands behind backslashes."""
    if "\\" not in token:
        return token[1:-1]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # backslashes that mean nothing
            value = str(ast.literal_eval(token))
        value.encode("utf-8")
    except (ValueError, SyntaxError):
        raise _NoItemError(token) from None
    return value


def split_words(cell: Any) -> tuple[str, ...]:
    """The words of a cell: a list as it is, also one that was written as text; a string at its spaces."""
    if isinstance(cell, str):
        written = texts_of(cell)
        return tuple(cell.split()) if written is None else written
    return tuple(map(str, cell)) if isinstance(cell, (list, tuple)) else ()
