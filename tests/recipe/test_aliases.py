"""Other libraries' names of settings point to ours, and every one of ours that they point to exists."""

from __future__ import annotations

import pytest

from tunewright.config.aliases import ALIASES, NOTES, alias_of
from tunewright.config.reader import FAMILY_OF, known_keys, parse_settings, resolve
from tunewright.config.recipe import Distillation
from tunewright.core.errors import UserError
from tunewright.core.registry import list_parts, load_part


def settings_of_parts() -> set[str]:
    """``method.rank`` and all other settings that some part of a family has."""
    return {
        f"{place}.{setting}"
        for place, family in FAMILY_OF.items()
        for part in list_parts(family)
        if hasattr(module := load_part(family, part.name), "Settings")
        for setting in module.Settings.model_fields
    }


def test_every_alias_points_to_a_setting_that_exists() -> None:
    known = {*known_keys(), *settings_of_parts(), *(f"distillation.{name}" for name in Distillation.model_fields)}
    assert set(ALIASES.values()) <= known
    assert "training.epoch" not in known  # the check can fail
    assert NOTES.keys() <= ALIASES.keys()


def test_no_alias_hides_a_key_of_ours() -> None:
    assert not set(ALIASES) & {key.rpartition(".")[2] for key in known_keys()}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("learning_rate", "optimization.learning_rate"),
        ("training.learning_rate", "optimization.learning_rate"),
        ("lr", "optimization.learning_rate"),
        ("r", "method.rank"),
        ("lora_alpha", "method.alpha"),
        ("num_train_epochs", "training.epochs"),
        ("training.num_train_epochs", "training.epochs"),
        ("per_device_train_batch_size", "training.batch_size"),
        ("max_seq_length", "data.max_length"),
        ("warmup_ratio", "optimization.schedule.warmup"),
        ("gradient_checkpointing", "training.max_tokens_per_microbatch"),
        ("data.text_column", "data.text"),
    ],
)
def test_a_name_of_another_library_is_answered_with_ours(given: str, meant: str) -> None:
    with pytest.raises(UserError, match=f"Did you mean '{meant}'"):
        resolve({}, [f"{given}=1"])


@pytest.mark.parametrize(
    ("setting", "meant"),
    [("r", "method.rank"), ("lora_alpha", "method.alpha"), ("rnak", "rank"), ("weight_decay", "optimization.weight_decay")],
)
def test_a_setting_of_a_part_is_answered_too(setting: str, meant: str) -> None:
    with pytest.raises(UserError) as told:
        resolve({"method": {"name": "lora", setting: 8}})
    assert told.value.nearest == meant


def test_a_name_that_nobody_uses_is_answered_with_the_list() -> None:
    assert alias_of("zzz") is None
    with pytest.raises(UserError) as told:
        resolve({}, ["zzz=1"])
    assert told.value.nearest is None


def test_what_an_error_names_can_be_set() -> None:
    recipe = resolve({"strategy": "lora"}, ["optimization.schedule.warmup=0.2", "method.rank=4"])
    assert recipe.optimization.schedule.settings["warmup"] == 0.2
    assert parse_settings(["method.rank=4"]) == {"method": {"rank": 4}}
