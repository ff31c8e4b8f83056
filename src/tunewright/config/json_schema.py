"""The recipe as a JSON Schema, for editors: completion of keys and part names, and wrong ones marked while typing.

Source: JSON Schema, draft 2020-12; the keys come from the recipe's model, the parts' settings from the registry.
It is stricter than the reader in spelling alone: names of parts as `tunewright parts` prints them, numbers as numbers.
"""

from __future__ import annotations

from typing import Any

from tunewright.config.reader import FAMILY_OF
from tunewright.config.recipe import DEFAULT_REPORTS, OWN, Recipe
from tunewright.core.errors import UserError
from tunewright.core.registry import list_parts, load_part
from tunewright.strategies import list_strategies

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_ANY = ("peft",)  # its settings are another library's
_MORE = {"tasks": OWN, "reports": DEFAULT_REPORTS.name}  # names that stand for a choice that is made later


def recipe_schema(*, installed: bool = True) -> dict[str, Any]:
    """The schema of a recipe file; ``installed`` adds the parts of other packages to this one's."""
    schema = Recipe.model_json_schema()
    definitions = schema["$defs"]
    definitions["Choice"] = {"anyOf": [{"type": "string"}, {"type": "object"}]}  # a choice among a part's own settings
    for key, family in FAMILY_OF.items():
        definitions[family] = _family(family, definitions, installed)
        section, _, name = key.rpartition(".")
        owner = definitions[section.capitalize()] if section else schema
        owner["properties"][name] = _with_reference(owner["properties"][name], f"#/$defs/{family}")
    names = [strategy.name for strategy in list_strategies()]
    schema["properties"]["strategy"]["anyOf"] = [{"enum": names}, {"type": "null"}]
    return {"$schema": DRAFT, **schema, "title": "tunewright recipe"}


def _family(family: str, definitions: dict[str, Any], installed: bool) -> dict[str, Any]:
    """A part of a family: its name, or an object of its settings with or without the name."""
    parts = [part.name for part in list_parts(family) if installed or part.module.startswith("tunewright.")]
    settings = {name: found for name in parts if (found := _settings(family, name, definitions)) is not None}
    names = [*settings, *([_MORE[family]] if family in _MORE else [])]
    every = ["name", *dict.fromkeys(key for found in settings.values() for key in found.get("properties", {}))]
    known: dict[str, Any] = {"propertyNames": {"enum": every}}
    rules = [_when(name, {} if name in _ANY else _own(found)) for name, found in settings.items()]
    for name in set(_ANY) & set(settings):
        known = {**_when(name, {}), "else": known}
    return {"anyOf": [{"enum": names}, {"type": "object", "properties": {"name": {"enum": names}}, "allOf": [*rules, known]}]}


def _settings(family: str, name: str, definitions: dict[str, Any]) -> dict[str, Any] | None:
    """The schema of a part's settings, its own definitions moved to the recipe's; None where the part cannot be loaded."""
    try:
        part = load_part(family, name)
    except UserError:  # another package's, which is broken: not a fault of the recipe
        return None
    found: dict[str, Any] = part.Settings.model_json_schema()
    for own, definition in found.pop("$defs", {}).items():
        definitions.setdefault(own, definition)
    return found


def _own(settings: dict[str, Any]) -> dict[str, Any]:
    """A part's own settings and no others."""
    own = {"properties": {"name": True, **settings.get("properties", {})}, "additionalProperties": False}
    return own | ({"required": settings["required"]} if settings.get("required") else {})


def _when(name: str, then: dict[str, Any]) -> dict[str, Any]:
    """What holds where a part of this name is chosen."""
    return {"if": {"properties": {"name": {"const": name}}, "required": ["name"]}, "then": then}


def _with_reference(field: Any, reference: str) -> Any:
    """A field's schema in which a choice is one of the family's parts."""
    if isinstance(field, dict):
        return {
            key: reference if key == "$ref" and value == "#/$defs/Choice" else _with_reference(value, reference)
            for key, value in field.items()
        }
    return [_with_reference(item, reference) for item in field] if isinstance(field, list) else field
