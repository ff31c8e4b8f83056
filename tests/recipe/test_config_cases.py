"""The 24 configuration cases: each is refused with one clear error, or read as YAML 1.2 means it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tunewright.config.reader import read_recipe
from tunewright.config.recipe import Recipe
from tunewright.core.errors import UserError

# case -> (the recipe's text, what the error must say)
REFUSED: dict[str, tuple[str, str]] = {
    "unknown key": ("traning: {epochs: 3}", "'traning' is not a setting.*Did you mean 'training'"),
    "near miss": ("optimization: {layer_decy: 0.9}", "Did you mean 'optimization.layer_decay'"),
    "wrong section": (
        "training: {layer_decay: 0.9}",
        "'training.layer_decay' is not a setting. Expected 'optimization.layer_decay'",
    ),
    "wrong type": ("training: {epochs: many}", "'training.epochs' is 'many'"),
    "rate below zero": ("optimization: {learning_rate: -0.1}", "'optimization.learning_rate' is -0.1"),
    "rate of zero": ("optimization: {head_learning_rate: 0}", "'optimization.head_learning_rate' is 0"),
    "not a number": ("optimization: {learning_rate: .nan}", "'optimization.learning_rate' is nan"),
    "no epoch": ("training: {epochs: 0}", "'training.epochs' is 0"),
    "batch of none": ("training: {batch_size: 0}", "'training.batch_size' is 0"),
    "accumulate none": ("training: {gradient_accumulation_steps: 0}", "'training.gradient_accumulation_steps' is 0"),
    "warm-up over total": (
        "optimization: {schedule: {name: warmup_stable_decay, warmup: 0.6, decay: 0.6}}",
        "warms up and decays for more than the whole run",
    ),
    "dropout above one": ("model: {dropout: 1.5}", "'model.dropout' is 1.5"),
    "duplicate key": ("training:\n  epochs: 3\n  epochs: 4", r"line 3: the key 'epochs' stands twice, first in line 2"),
    "alias bomb": ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", "aliases .* are not allowed"),
    "python tag": ("model: !!python/object/apply:os.system ['true']", "the tag .*python.* is not allowed"),
    "exclusive options": (
        "optimization: {layer_decay: 0.5, learning_rates_by_depth: [0.1, 0.1]}",
        "optimization.learning_rates_by_depth and optimization.layer_decay exclude each other",
    ),
    "unavailable precision": ("training: {precision: float8}", "'training.precision' is 'float8'"),
    "seed out of range": ("seed: -1", "'seed' is -1"),
    "empty file": ("", "is empty"),
    "unknown version": ("version: 7", "'version' is 7"),
    "name of the run leaves its folder": ("out: ../../etc/-run", "cannot name a run"),
}


def read(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return read_recipe(path)


@pytest.mark.parametrize("case", REFUSED)
def test_refused(tmp_path: Path, case: str) -> None:
    text, said = REFUSED[case]
    with pytest.raises(UserError, match=said):
        recipe = read(tmp_path, text)
        from tunewright.artifacts.run_folder import check_free

        check_free(Path(str(recipe.out)))
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.yaml"]


ACCEPTED: dict[str, tuple[str, Callable[[Recipe], object], object]] = {
    "1e-5 is a number": ("optimization: {learning_rate: 1e-5}", lambda recipe: recipe.optimization.learning_rate, 1e-5),
    "no, yes and on are words": ("data: {target: [no, yes, on]}", lambda recipe: recipe.data.target, ("no", "yes", "on")),
    "010 is ten": ("training: {epochs: 010}", lambda recipe: recipe.training.epochs, 10),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted(tmp_path: Path, case: str) -> None:
    text, read_value, wanted = ACCEPTED[case]
    assert read_value(read(tmp_path, text)) == wanted


def test_there_are_24_cases() -> None:
    assert len(REFUSED) + len(ACCEPTED) == 24
