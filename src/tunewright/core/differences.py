"""What differs between two nested settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def differing(first: Mapping[str, Any], second: Mapping[str, Any], prefix: str = "") -> dict[str, list[Any]]:
    """Dotted key -> [the first's value, the second's], of every key whose values differ."""
    changed: dict[str, list[Any]] = {}
    for key in sorted({*first, *second}):
        before, after = first.get(key), second.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            changed |= differing(before, after, f"{prefix}{key}.")
        elif before != after:
            changed[f"{prefix}{key}"] = [before, after]
    return changed


def changed_since(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs from what was asked before, in words, a key each."""
    return [f"{key}: {before} then, {after} now" for key, (before, after) in differing(then, now).items()]
