"""JSON read strictly: no key twice, no NaN, no endless nesting, no half characters, no digit lost."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from tunewright.core.errors import UserError

_DEEPEST = 64
_STRING = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\Z)', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class _RefusedError(ValueError):
    """A value that JSON allows or parsers tolerate, and we do not."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(name for name in names if names.count(name) > 1)
        raise _RefusedError(f"the key '{doubled}' occurs twice in one object")
    return found


def _constant(name: str) -> Any:
    raise _RefusedError(f"{name} is not JSON; write null, or a number")


def _integer(digits: str) -> int | str:
    """Numbers beyond 64 bits are identifiers: kept as text, digit for digit."""
    if len(digits) > 20:
        return digits
    number = int(digits)
    return number if -(2**63) <= number < 2**63 else digits


def _real(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _RefusedError(f"the number {digits[:40]} is too large")
    return number


def _refuse_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= _DEEPEST:
        return
    depth = deepest = 0
    for character in re.sub(r"[^\[\]{}]", "", _STRING.sub("", text)):
        depth += 1 if character in "[{" else -1
        deepest = max(deepest, depth)
    if deepest > _DEEPEST:
        raise _RefusedError(f"values are nested {deepest} deep (at most {_DEEPEST})")


def _refuse_half_characters(text: str, value: Any) -> None:
    if not _SURROGATE.search(text):
        return
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise _RefusedError("half of a character (a lone surrogate \\ud800 to \\udfff)") from None


def parse(text: str, source: str, *, line: int | None = None) -> Any:
    """The value a JSON text spells; a fault names the source and the line."""
    place = f"{source}, line {line}" if line else source
    try:
        _refuse_depth(text)
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer, parse_float=_real)
        _refuse_half_characters(text, value)
    except json.JSONDecodeError as error:
        at = f"column {error.colno}" if line else f"line {error.lineno}, column {error.colno}"
        number = line or error.lineno
        raise UserError(f"{place} is not whole JSON: {error.msg} ({at})", try_=f"mend or remove line {number}") from None
    except _RefusedError as error:
        raise UserError(f"{place}: {error}", try_=f"mend or remove line {line}" if line else "mend it there") from None
    return value
