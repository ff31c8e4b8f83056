"""The JSON Schema for editors takes every recipe that is shipped or written, and refuses wrong keys, names and values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tunewright.config.json_schema import recipe_schema
from tunewright.config.reader import known_keys, read_recipe, resolve, to_yaml
from tunewright.strategies import list_strategies

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


@pytest.fixture(scope="module")
def valid() -> Any:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((ROOT / "docs" / "reference" / "recipe.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema).is_valid


@pytest.mark.parametrize("strategy", list_strategies(), ids=lambda strategy: strategy.name)
def test_strategies_and_what_they_resolve_to_are_valid(valid: Any, strategy: Any) -> None:
    assert valid(strategy.settings)
    assert valid(yaml.safe_load(to_yaml(resolve({"strategy": strategy.name}))))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_valid_for_schema_and_reader(valid: Any, path: Path) -> None:
    recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert valid(recipe)
    read_recipe(path)
    assert not valid(recipe | {"training": {**recipe["training"], "patience": 3}})  # once a key, now a wrong one


@pytest.mark.parametrize(
    "recipe",
    [
        "method: lora",
        "method: {rank: 4}",
        "method: {name: peft, method: {peft_type: OFT, r: 4}}",
        "head: {label_smoothing: 0.1}",
        "head: {name: preference_optimization, objective: {name: dpo, beta: 0.2}}",
        "initialization: [linear_probe, {name: reinitialize_top, layers: 2}]",
        "evaluation: {reports: [default, {name: forgetting, references: [rows.csv]}]}",
        "distillation: {teacher: runs/large}",
        "strategy: null",
    ],
)
def test_what_the_reader_takes_is_valid(valid: Any, recipe: str) -> None:
    assert valid(yaml.safe_load(recipe))


@pytest.mark.parametrize(
    "recipe",
    [
        "trainig: {epochs: 3}",
        "training: {epoch: 3}",
        "training: {epochs: 0}",
        "training: {epochs: three}",
        "strategy: lorra",
        "method: lorra",
        "method: {name: lora, size: 4}",
        "method: {sizes: 4}",
        "optimization: {schedule: {name: cosine, cycles: 2}}",
        "optimization: {optimizer: lora}",
        "initialization: [linear_prob]",
        "evaluation: {reports: [nothing]}",
        "distillation: {weight: 0.5}",
    ],
)
def test_wrong_keys_names_and_values_are_refused(valid: Any, recipe: str) -> None:
    assert not valid(yaml.safe_load(recipe))


def test_it_has_every_key_of_the_recipe() -> None:
    schema = recipe_schema()
    found = set()

    def walk(properties: dict[str, Any], prefix: str) -> None:
        for name, field in properties.items():
            found.add(prefix + name)
            own = schema["$defs"].get(str(field.get("$ref", "")).rpartition("/")[2], {})
            walk(own.get("properties", {}), f"{prefix}{name}.")

    walk(schema["properties"], "")
    assert found == set(known_keys())


def test_the_command_prints_and_writes_it(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from tunewright.cli.main import app

    printed = CliRunner().invoke(app, ["schema"])
    assert json.loads(printed.stdout) == recipe_schema()
    written = tmp_path / "recipe.schema.json"
    assert CliRunner().invoke(app, ["schema", "--out", str(written)]).exit_code == 0
    assert json.loads(written.read_text()) == recipe_schema()
