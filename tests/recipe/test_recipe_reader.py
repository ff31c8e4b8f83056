"""Reading and resolving: what overrides what, all faults at once, and what is written reads back equal."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewright.config.reader import known_keys, merge, parse_settings, read_recipe, resolve, to_yaml
from tunewright.core.errors import Faults, UserError
from tunewright.core.yaml12 import read_yaml
from tunewright.strategies import list_strategies

KEYS = Path(__file__).parent / "keys.txt"


def test_the_set_of_keys_changes_only_on_purpose() -> None:
    assert known_keys() == KEYS.read_text().split()


@pytest.mark.parametrize("name", [strategy.name for strategy in list_strategies()])
def test_a_resolved_recipe_reads_back_equal(tmp_path: Path, name: str) -> None:
    recipe = resolve({"strategy": name, "training": {"early_stopping_patience": 3}}, ["optimization.weight_decay=0.02"])
    path = tmp_path / "recipe.yaml"
    path.write_text(to_yaml(recipe))
    assert read_recipe(path) == recipe


def test_settings_override_the_file_and_the_file_the_strategy() -> None:
    recipe = resolve(
        {"strategy": "lora", "optimization": {"learning_rate": 2e-3, "head_learning_rate": 2e-3}},
        ["optimization.head_learning_rate=3e-3", "method.rank=4"],
    )
    assert (recipe.optimization.learning_rate, recipe.optimization.head_learning_rate) == (2e-3, 3e-3)
    assert recipe.method.settings["rank"] == 4
    assert recipe.method.settings["alpha"] == 32  # the strategy's own setting stays


def test_who_names_a_number_of_epochs_gets_it() -> None:
    own = resolve({"strategy": "full"}).training
    assert own.max_train_examples_seen is not None
    assert resolve({"strategy": "full"}, ["training.epochs=20"]).training.max_train_examples_seen is None
    assert (
        resolve({"strategy": "full", "training": {"epochs": 20, "max_train_examples_seen": 500}}).training.max_train_examples_seen
        == 500
    )
    assert resolve({"strategy": "full", "training": {"batch_size": 8}}).training == own.model_copy(update={"batch_size": 8})


def test_another_part_brings_none_of_the_former_ones_settings() -> None:
    assert merge({"method": {"name": "lora", "rank": 4}}, {"method": {"name": "ia3"}}) == {"method": {"name": "ia3"}}
    assert resolve({"strategy": "lora", "method": "bias_only"}).method.settings == {}


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(Faults) as told:
        resolve({"training": {"epochs": 0, "batch_size": "x"}, "optimization": {"learning_rate": -1}})
    assert len(told.value.faults) == 3
    with pytest.raises(Faults) as parts:
        resolve({"method": "lorra", "unfreezing": "topdown", "optimization": {"optimizer": {"name": "adamw", "beta3": 1}}})
    assert len(parts.value.faults) == 3
    assert "Did you mean 'lora'" in str(parts.value)
    assert "'optimization.optimizer.beta3' is not a setting of adamw" in str(parts.value)


@pytest.mark.parametrize(
    ("setting", "said"), [("epochs", "not a setting"), ("a b=1", "not a setting"), ("training.epochs=[", "training.epochs")]
)
def test_a_wrong_setting_is_refused(setting: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_settings([setting])


def test_an_unknown_strategy_shows_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'lora'"):
        resolve({"strategy": "lorra"})


def test_paths_are_relative_to_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text,label\n")
    (tmp_path / "recipe.yaml").write_text("data: {train: rows.csv}\nmodel: {source: all-MiniLM-L6-v2}\n")
    recipe = read_recipe(tmp_path / "recipe.yaml")
    assert recipe.data.train == str(tmp_path / "rows.csv")
    assert recipe.model.source == "all-MiniLM-L6-v2"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("yes", "yes"),
        ("true", True),
        ("~", None),
        ("2024-01-01", "2024-01-01"),
        ("[a, 1, .inf]", ["a", 1, float("inf")]),
        ("<<", "<<"),
    ],
)
def test_scalars_mean_what_yaml_12_says(text: str, value: object) -> None:
    assert read_yaml(text, what="text") == value


@pytest.mark.parametrize("text", ["[" * 100 + "]" * 100, "- x\n" * 30_000, "a: b: c", "\x00", "? [a]\n: b", "1: b"])
def test_what_is_no_settings_file_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        read_yaml(text, what="text")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * (1 << 21), b"- a list\n"])
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "recipe.yaml").write_bytes(content)
    with pytest.raises(UserError, match=r"recipe\.yaml"):
        read_recipe(tmp_path / "recipe.yaml")
