"""The recipe that a command's options ask for: of a table of rows, or of a recipe file with changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunewright.recipe import Recipe

# Each option's place in the recipe.
_KEYS = {
    "model": "model.source",
    "target": "data.target",
    "text": "data.text",
    "task": "data.task",
    "validation": "data.validation",
    "test": "data.test",
    "strategy": "strategy",
    "seed": "seed",
    "out": "out",
    "budget": "training.budget_seconds",
}


def recipe_of(source: str, settings: list[str] | None, **named: Any) -> Recipe:
    """Read a recipe file, or make a recipe for a table of rows; options that were given have the last word."""
    from tunewright.recipe_reader import read_recipe

    asked = {_KEYS[name]: value for name, value in named.items() if value is not None}
    if Path(source).suffix.lower() in (".yaml", ".yml"):
        return read_recipe(Path(source), overrides=[*_as_text(asked), *(settings or ())])
    return read_recipe({"data": {"train": source}}, overrides=[*_as_text(asked), *(settings or ())])


def _as_text(asked: dict[str, Any]) -> list[str]:
    return [f"{key}={json.dumps(value)}" for key, value in asked.items()]
