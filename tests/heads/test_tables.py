"""Tables end to end: columns recognized, blocks tuned by every way that can be saved whole, the saved network certified."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tunewright.core.errors import UserError
from tunewright.models.table import TableConfig, TableTransformer, save_table_network
from tunewright.pipeline.workflow import fit

QUICK: dict[str, Any] = {"data": {"near_duplicates": "ignore"}, "evaluation": {"baselines": ("majority", "frozen")}}


def toy(count: int = 200) -> list[dict[str, Any]]:
    generator = random.Random(0)
    rows = []
    for number in range(count):
        age, income, job = generator.randint(18, 80), generator.gauss(30, 10), generator.choice(["clerk", "cook", "nurse"])
        good = age > 45 or job == "nurse"
        rows.append(
            {"id": number, "age": age, "income": None if number % 9 == 0 else round(income, 2), "job": job, "label": good}
        )
    return rows


@pytest.mark.parametrize("strategy", ["full", "gradual-unfreezing", "lora", "feature-extraction"])
def test_a_table_is_learnt_saved_and_read_again(tmp_path: Path, strategy: str) -> None:
    run = fit(
        toy(),
        strategy=strategy,
        out=tmp_path / "run",
        optimization={"learning_rate": 2e-3, "head_learning_rate": 5e-3},
        training={"epochs": 12, "batch_size": 16},
        **QUICK,
    )
    scores = {(entry["of"], entry["name"]): entry["value"] for entry in run.all_scores()}
    assert run.manifest["certified"]["equal"]
    assert "Table: 'age' and 'income' and 'job' (guessed)." in run.details["said"]
    assert run.recipe.model.source == "table-transformer"
    if strategy in ("full", "lora"):
        assert scores["fine-tuned", "accuracy"] > max(0.85, scores["majority", "accuracy"])
    answers = run.predict([{"age": 70, "income": 20.5, "job": "cook"}, {"age": 20, "income": None, "job": "pilot"}])
    assert [set(answer["probabilities"]) for answer in answers] == [{"True", "False"}] * 2


def test_blocks_come_from_a_network_of_other_columns(tmp_path: Path) -> None:
    base = TableTransformer(TableConfig(5, (3, 4), width=16, blocks=2, heads=2))
    save_table_network(base, tmp_path / "base")
    run = fit(toy(), model=str(tmp_path / "base"), out=tmp_path / "run", training={"max_steps": 1}, **QUICK)
    assert sum(layer["name"].startswith("block") for layer in run.details["layers"]) == 2
    again = fit(toy(), model=str(tmp_path / "base"), out=tmp_path / "again", training={"max_steps": 1}, **QUICK)
    assert [one.value for one in run.scores] == [one.value for one in again.scores]


def test_what_cannot_be_folded_in_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be folded into a network that is saved whole"):
        fit(toy(), strategy="adapter", out=tmp_path / "run", **QUICK)


def test_texts_stay_texts(tmp_path: Path) -> None:
    from tunewright.pipeline.steps import InMemoryData, prepare_rows
    from tunewright.pipeline.workflow import make_recipe

    rows = [
        {"text": f"my card {number} is lost again today", "amount": number, "more": number % 7, "label": "ab"[number % 2]}
        for number in range(60)
    ]
    recipe = make_recipe(target="label", model="all-MiniLM-L6-v2")

    assert prepare_rows(recipe, InMemoryData(rows)).schema.kind == "text"
    assert (
        prepare_rows(
            make_recipe(target="label", data={"kind": "table", "input": ["amount", "more"]}), InMemoryData(rows)
        ).schema.kind
        == "table"
    )


@pytest.mark.parametrize("setting", [{"blocks": (0, 1)}, {"revision": "main"}, {"pooling": "mean"}])
def test_settings_that_mean_nothing_for_tables_are_refused(tmp_path: Path, setting: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"model.{next(iter(setting))} means nothing for networks of table"):
        fit(toy(), model={"source": "table-transformer", **setting}, out=tmp_path / "run", **QUICK)
