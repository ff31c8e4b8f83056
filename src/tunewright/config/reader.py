"""Reading a recipe: defaults, then the strategy, then the user's file, then single settings; all faults told at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from tunewright.config.aliases import alias_of, note_of
from tunewright.config.recipe import DEFAULT_REPORTS, OWN, Choice, Recipe, Section
from tunewright.core.errors import UserError, nearest, raise_all
from tunewright.core.registry import check_name, load_part
from tunewright.core.yaml12 import read_yaml
from tunewright.strategies import load_strategy

# Where a choice of a part stands in a recipe, and the family its name is looked up in.
FAMILY_OF = {
    "head": "tasks",
    "method": "methods",
    "optimization.optimizer": "optimizers",
    "optimization.schedule": "schedules",
    "initialization": "initialization",
    "unfreezing": "unfreezing",
    "regularizers": "regularizers",
    "averaging": "averaging",
    "callbacks": "callbacks",
    "evaluation.reports": "reports",
}
_PATHS = ("train", "validation", "test")

AUTO = "auto"  # the strategy that is decided once the network is known

# Who names one of these without a strategy composes the run by hand.
_BY_HAND = ("method", "initialization", "unfreezing")


def read_recipe(source: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of a YAML file, with ``a.b=value`` settings on top; relative paths in it are relative to its folder."""
    path = Path(source)
    user = read_yaml(path)
    for section, keys in (("data", _PATHS), ("model", ("source",))):
        values = user.get(section)
        if isinstance(values, dict):
            user[section] = values | {key: _beside(path, values[key]) for key in keys if isinstance(values.get(key), str)}
    if isinstance(user.get("data"), dict) and isinstance(files := user["data"].get("replay"), list):
        user["data"]["replay"] = [_beside(path, file) if isinstance(file, str) else file for file in files]
    return resolve(user, overrides)


def resolve(user: Mapping[str, Any], overrides: Sequence[str] = ()) -> Recipe:
    """A recipe with every default resolved, from the user's own keys; raises all faults together."""
    wanted = merge(dict(user), parse_settings(overrides))
    if not {"strategy", *_BY_HAND} & wanted.keys():
        wanted["strategy"] = AUTO
    name = wanted.get("strategy")
    return _resolved(load_strategy(str(name)).settings if name is not None else {}, wanted)


def completed(recipe: Recipe, base: Mapping[str, Any]) -> Recipe:
    """The recipe with the settings of ``base`` where it names none itself."""
    return _resolved(base, recipe.model_dump(mode="json", exclude_unset=True))


def _resolved(base: Mapping[str, Any], wanted: Mapping[str, Any]) -> Recipe:
    """What is wanted on top of a strategy's settings, and every default."""
    training = wanted.get("training")
    if isinstance(training, Mapping) and "epochs" in training:  # who names a number of epochs gets it
        base = merge(base, {"training": {"max_train_examples_seen": None}})
    faults: list[UserError] = []
    merged = merge(base, wanted)
    try:
        recipe = Recipe.model_validate(merged)
    except ValidationError as error:
        raise_all([_fault(one, merged) for one in error.errors()])
        raise
    for key, family in FAMILY_OF.items():
        faults += [fault for choice in _choices(recipe, key) for fault in _part_faults(family, key, choice)]
    for key, family, named in (("data.task", "tasks", recipe.data.task), ("data.kind", "modalities", recipe.data.kind)):
        faults += _name_faults(family, key, named)
    faults += _crossed(recipe)
    raise_all(faults)
    return recipe


def is_undecided(recipe: Recipe) -> bool:
    """Whether what trains is still to be decided for the network."""
    return recipe.strategy == AUTO and "method" not in recipe.model_fields_set


def check_part(family: str, key: str, choice: Choice) -> None:
    """Raise what is wrong with the part of a family that was chosen under a key."""
    raise_all(_part_faults(family, key, choice))


def to_yaml(recipe: Recipe) -> str:
    """The resolved recipe as YAML that reads back equal."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """``["optimization.layer_decay=0.9"]`` as nested keys; values read as YAML."""
    found: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not re.fullmatch(r"[a-z_0-9]+(\.[a-z_0-9]+)*", key.strip()):
            raise UserError(f"'{setting}' is not a setting", expected="key=value", try_="--set optimization.layer_decay=0.9")
        value: Any = read_yaml(text, what=f"the value of --set {key}")
        for part in reversed(key.strip().split(".")):
            value = {part: value}
        found = merge(found, value)
    return found


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` on top of ``base``, section by section; a part chosen by another name brings none of the former's settings."""
    merged = dict(base)
    for key, value in over.items():
        before = merged.get(key)
        if isinstance(before, str) and isinstance(value, Mapping) and "name" not in value:
            before = {"name": before}
        same = isinstance(before, Mapping) and isinstance(value, Mapping) and _same_part(before, value)
        merged[key] = merge(before, value) if same else value  # type: ignore[arg-type]
    return merged


def _same_part(before: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    def plain(name: Any) -> str:
        return str(name).replace("-", "_")

    return "name" not in value or "name" not in before or plain(value["name"]) == plain(before["name"])


def _beside(recipe: Path, value: str) -> str:
    """A path relative to the recipe's folder when something is there, else as it was (a package's name, a hub id)."""
    beside = recipe.parent / value
    return str(beside) if not Path(value).is_absolute() and beside.exists() else value


def _choices(recipe: Recipe, key: str) -> tuple[Choice, ...]:
    value: Any = recipe
    for part in key.split("."):
        value = getattr(value, part)
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)


def _part_faults(family: str, key: str, choice: Choice) -> list[UserError]:
    """What is wrong with a part's name or settings."""
    if (family == "reports" and choice == DEFAULT_REPORTS) or (family == "tasks" and choice.name == OWN):
        return []  # known when the rows are
    try:
        settings: type[BaseModel] = load_part(family, choice.name).Settings
    except UserError as error:
        return [UserError(f"{key}: {error}")]
    if family == "methods" and choice.name == "peft":
        return []  # the bridge knows its library's settings and checks them when applied
    try:
        settings.model_validate(choice.settings)
    except ValidationError as error:
        return [_part_fault(one, key, choice, settings) for one in error.errors()]
    return []


def _name_faults(family: str, key: str, name: str | None) -> list[UserError]:
    """What is wrong with a name that is no part with settings."""
    if name is None:
        return []
    try:
        check_name(family, name)
    except UserError as error:
        return [UserError(f"{key}: {error}")]
    return []


def _part_fault(error: Any, key: str, choice: Choice, settings: type[BaseModel]) -> UserError:
    where = ".".join((key, *map(str, error["loc"])))
    if error["type"] == "extra_forbidden":
        known = list(settings.model_fields)
        name = str(error["loc"][-1])
        return UserError(
            f"'{where}' is not a setting of {choice.name}",
            expected=f"one of {', '.join(known)}" if known else "no setting at all",
            nearest=_setting_meant(key, name, known),
        )
    return UserError(f"'{where}' is {error['input']!r}: {error['msg'].lower()}", expected=_meaning(settings, error["loc"]))


def _setting_meant(key: str, name: str, known: Sequence[str]) -> str | None:
    """The part's own setting that was meant, or the key of the recipe that another library's name stands for."""
    place, _, setting = (alias_of(name) or "").rpartition(".")
    if place and (place != key or setting in known):
        return f"{place}.{setting}"
    return nearest(name, known) or next((known_key for known_key in known_keys() if known_key.rpartition(".")[2] == name), None)


def _fault(error: Any, merged: Mapping[str, Any]) -> UserError:
    """One of pydantic's findings in our words."""
    location = [part for part in error["loc"] if not (isinstance(part, str) and part.startswith("function-"))]
    where = ".".join(map(str, location))
    if error["type"] == "extra_forbidden":
        return _unknown_key(location, where)
    if location and str(location[-1]) == "name" and error["type"] == "string_type":
        return UserError(f"'{where.rpartition('.')[0]}' names no part", expected="a name, or a name with settings")
    return UserError(f"'{where}' is {_shown(error['input'])}: {error['msg'].lower()}", expected=_meaning(Recipe, location))


def _unknown_key(location: Sequence[Any], where: str) -> UserError:
    name, section = str(location[-1]), ".".join(map(str, location[:-1]))
    keys = known_keys()
    elsewhere = [key for key in keys if key.rpartition(".")[2] == name]
    here = [key for key in keys if key.rpartition(".")[0] == section]
    if elsewhere:
        return UserError(f"'{where}' is not a setting", expected=f"'{elsewhere[0]}'", nearest=elsewhere[0])
    if alias := alias_of(name):
        return UserError(f"'{where}' is not a setting", expected=note_of(name) or f"'{alias}'", nearest=alias)
    close = nearest(name, [key.rpartition(".")[2] for key in here]) or nearest(name, [key.rpartition(".")[2] for key in keys])
    full = next((key for key in (*here, *keys) if key.rpartition(".")[2] == close), None)
    listed = ", ".join(key.rpartition(".")[2] for key in here)
    return UserError(f"'{where}' is not a setting", expected=f"one of {listed}", nearest=full)


def known_keys(section: type[Section] = Recipe, prefix: str = "") -> list[str]:
    """All dotted keys of a recipe."""
    found: list[str] = []
    for name, field in section.model_fields.items():
        kind = field.annotation
        found.append(prefix + name)
        if isinstance(kind, type) and issubclass(kind, Section) and kind is not Choice:
            found += known_keys(kind, f"{prefix}{name}.")
    return found


def _meaning(section: type[BaseModel], location: Sequence[Any]) -> str:
    """The description of the key at a place."""
    kind: Any = section
    for part in location:
        field = getattr(kind, "model_fields", {}).get(part)
        if field is None:
            return ""
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, Section)):
            return f"{part}: {field.description}" if field.description else ""
        kind = field.annotation
    return "a section of settings, such as {key: value}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _crossed(recipe: Recipe) -> list[UserError]:
    """Settings that are right alone and wrong together."""
    faults = []
    if recipe.data.validation_size + recipe.data.test_size >= 0.9:
        faults.append(
            UserError("data.validation_size and data.test_size leave less than a tenth to train on", expected="a sum below 0.9")
        )
    if recipe.optimization.learning_rates_by_depth is not None and recipe.optimization.layer_decay != 1.0:
        faults.append(
            UserError(
                "optimization.learning_rates_by_depth and optimization.layer_decay exclude each other", expected="one of them"
            )
        )
    if recipe.data.group is not None and recipe.data.time is not None and recipe.data.group == recipe.data.time:
        faults.append(
            UserError(f"data.group and data.time are both '{recipe.data.group}'", expected="two columns, or one of the two keys")
        )
    if recipe.model.quantize != "none":
        if recipe.method.name != "lora" and not is_undecided(recipe):
            said = f"model.quantize freezes the base, which {recipe.method.name} trains"
            faults.append(UserError(said, try_="--strategy lora"))
        if recipe.evaluation.certify:
            faults.append(
                UserError(
                    "a base in 4 bits cannot be certified: the fresh process computes on the processor, in float32",
                    try_="--set evaluation.certify=false",
                )
            )
    asked = [choice for choice in recipe.evaluation.reports if choice.name == "forgetting"]
    if recipe.evaluation.max_forgetting is not None and not any(choice.settings.get("references") for choice in asked):
        faults.append(
            UserError(
                "evaluation.max_forgetting needs rows to measure forgetting by",
                expected="the report forgetting with references",
                try_="--set 'evaluation.reports=[default, {name: forgetting, references: [FILE]}]'",
            )
        )
    schedule = recipe.optimization.schedule
    if float(schedule.settings.get("warmup", 0)) + float(schedule.settings.get("decay", 0)) > 1:
        faults.append(
            UserError(
                "optimization.schedule warms up and decays for more than the whole run", expected="warmup + decay of at most 1"
            )
        )
    return faults
