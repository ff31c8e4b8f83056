"""The recipe that a command's options ask for: of a table of rows, or of a recipe file with changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunewright.config.recipe import Recipe

# Each option's place in the recipe.
KEYS = {
    "model": "model.source",
    "target": "data.target",
    "text": "data.text",
    "task": "data.task",
    "separator": "data.separator",
    "validation": "data.validation",
    "test": "data.test",
    "strategy": "strategy",
    "epochs": "training.epochs",
    "lr": "optimization.learning_rate",
    "batch_size": "training.batch_size",
    "seed": "seed",
    "device": "training.device",
    "out": "out",
    "budget": "training.budget_seconds",
    "log": "callbacks",
}


def recipe_of(source: str, settings: list[str] | None, **named: Any) -> Recipe:
    """Read a recipe file, or make a recipe for a table of rows; options change it, and --set has the last word."""
    from tunewright.config.reader import read_recipe, resolve

    asked = {KEYS[name]: value for name, value in named.items() if value is not None}
    is_recipe = Path(source).suffix.lower() in (".yaml", ".yml")
    if not is_recipe:
        asked["data.train"] = source
    # A value as JSON is the same value as YAML: what is given as text stays text.
    overrides = [*(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in asked.items()), *(settings or ())]
    return read_recipe(source, overrides) if is_recipe else resolve({}, overrides)
