"""What a run wrote about itself, read back: its manifest and its scores, each with the parts that readers build on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunewright.core.damaged_files import read_fields, unusable
from tunewright.core.errors import UserError
from tunewright.core.types import Score

_ANY_TEXT = (str, type(None))


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a run's folder; UserError where it is damaged."""
    expected = "the manifest of a run"
    found = read_fields(
        folder / "manifest.json", {"status": str, "created": str, "strategy": str, "base": dict, "parent": _ANY_TEXT}, expected
    )
    if not isinstance(found["base"].get("source"), str):
        raise UserError(f"{folder / 'manifest.json'} cannot be used: its base has no source", expected=expected)
    return found


def read_scores(folder: Path) -> dict[str, Any]:
    """The content of scores.json, whose entries are scores; UserError where it is damaged."""
    path = folder / "scores.json"
    found = read_fields(path, {"scores": list}, "the scores of a run")
    with unusable(path, "the scores of a run"):
        for entry in found["scores"]:
            if not isinstance(entry["of"], str) or not isinstance(score_of(entry).name, str):
                raise ValueError("an entry has no names")  # noqa: TRY004 - told as the others
        if not isinstance(found.get("reports", {}), dict):
            raise ValueError("its reports are no object")  # noqa: TRY004
    return found


def score_of(entry: dict[str, Any]) -> Score:
    """One entry as a score."""
    return Score(**{key: value for key, value in entry.items() if key != "of"})
