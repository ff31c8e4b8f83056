"""Replayed rows: drawn from what is neither measured nor in the run, told, and refused where one head cannot learn them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine.toy import toy_recipe, toy_rows
from tunewright.analysis.references import read_reference
from tunewright.config.reader import read_recipe
from tunewright.core.errors import UserError
from tunewright.datasets.cells import cells_of
from tunewright.datasets.rows import Rows
from tunewright.models.tiny import tiny_model
from tunewright.pipeline.examine import examine
from tunewright.pipeline.steps import InMemoryData, measured_rows, prepare_rows
from tunewright.pipeline.workflow import fit, load, reproduce


def written(path: Path, rows: list[dict[str, str]]) -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


@pytest.fixture
def old(tmp_path: Path) -> str:
    """300 rows of the same topics, each text once, in columns of other names."""
    rows = {row["text"]: row["label"] for row in toy_rows(400, seed=5)}
    return written(tmp_path / "old.csv", [{"message": text, "topic": label} for text, label in list(rows.items())[:300]])


def forgetting(old: str, rows: int = 100) -> dict[str, Any]:
    return {"reports": [{"name": "forgetting", "references": [old], "rows": rows}]}


def test_what_is_replayed_is_neither_measured_nor_held_out(tiny_bert: Path, old: str) -> None:
    recipe = toy_recipe(tiny_bert, data={"replay": [old], "replay_share": 1.0}, evaluation=forgetting(old))
    plain, mixed = (prepare_rows(one, InMemoryData(toy_rows(120))) for one in (toy_recipe(tiny_bert), recipe))
    assert isinstance(mixed.train, Rows)
    assert isinstance(plain.train, Rows)
    own, replayed = mixed.train.numbers >= 0, mixed.train.numbers < 0
    assert [mixed.train.inputs[place] for place in np.flatnonzero(own)] == plain.train.inputs
    assert replayed.sum() == own.sum() == len(plain.train)
    assert mixed.test.inputs == plain.test.inputs
    texts = {mixed.train.inputs[place] for place in np.flatnonzero(replayed)}
    held = measured_rows(recipe)
    assert held == set(read_reference(old, 100, recipe.seed).inputs)
    assert len(held) == 100
    assert not texts & {*held, *plain.train.inputs, *plain.validation.inputs, *plain.test.inputs}
    with Path(old).open(encoding="utf-8") as file:
        labels = {(row["message"],): row["topic"] for row in csv.DictReader(file)}
    for place in np.flatnonzero(replayed):
        assert mixed.labels.names[mixed.train.targets[place]] == labels[mixed.train.inputs[place]]
    assert mixed.data_hash != plain.data_hash
    assert f"{replayed.sum()} of 300 rows" in mixed.said[-1]
    again = prepare_rows(recipe, InMemoryData(toy_rows(120)))
    assert again.data_hash == mixed.data_hash
    with pytest.raises(UserError, match="not kept of rows that are replayed"):
        cells_of(mixed, "train", "label")


def test_the_share_is_of_all_files_together(tiny_bert: Path, tmp_path: Path, old: str) -> None:
    other = written(tmp_path / "other.csv", [row | {"text": f"other {row['text']}"} for row in toy_rows(60, seed=9)])
    recipe = toy_recipe(tiny_bert, data={"replay": [old, other], "replay_share": 0.5})
    mixed = prepare_rows(recipe, InMemoryData(toy_rows(120)))
    assert isinstance(mixed.train, Rows)
    many = int((mixed.train.numbers >= 0).sum())
    assert (mixed.train.numbers < 0).sum() == 2 * round(many / 4)
    assert sum(text.startswith("other") for (text,) in mixed.train.inputs) == round(many / 4)


def test_what_one_head_cannot_learn_is_refused(tiny_bert: Path, tmp_path: Path, old: str) -> None:
    def prepared(file: str, rows: Any = None, **sections: Any) -> Any:
        recipe = toy_recipe(tiny_bert, data={"replay": [file]}, **sections)
        return prepare_rows(recipe, InMemoryData(toy_rows(60) if rows is None else rows))

    strange = written(tmp_path / "strange.csv", [row | {"label": "weather"} for row in toy_rows(30)])
    with pytest.raises(UserError, match=r"strange\.csv cannot be replayed: .*weather"):
        prepared(strange)
    with pytest.raises(UserError, match="has no rows to replay: each of its 300 measures forgetting or is in the run already"):
        prepared(old, evaluation=forgetting(old, 300))
    with pytest.raises(UserError, match="cannot for regression of text"):
        prepared(old, [{"text": row["text"], "label": place / 7} for place, row in enumerate(toy_rows(60))])


def test_texts_alone_are_replayed_for_a_language_model(tmp_path: Path) -> None:
    new, before = tmp_path / "new.csv", tmp_path / "before.csv"
    written(new, [{"body": row["text"]} for row in toy_rows(60)])
    written(before, [{"text": f"{row['text']} before {place}"} for place, row in enumerate(toy_rows(200, seed=3))])
    run = fit(
        str(new),
        method="full",
        model=str(tiny_model("llama", tmp_path / "llama")),
        task="causal_lm",
        out=tmp_path / "run",
        data={"replay": [str(before)], "replay_share": 0.5},
        training={"epochs": 1},
        evaluation={"certify": False, "resamples": 100, **forgetting(str(before), 50)},
    )
    found = run.reports["forgetting"]
    assert found["error"] is None
    assert next(one for one in found["scores"] if one["name"].startswith("forgotten_"))["n"] == 50


def test_a_run_tells_reproduces_and_its_reports_leave_out_what_was_replayed(tiny_bert: Path, tmp_path: Path, old: str) -> None:
    place = tmp_path / "recipe.yaml"
    place.write_text("data: {train: rows.csv, replay: [old.csv], near_duplicates: ignore}\n", encoding="utf-8")
    assert read_recipe(place).data.replay == (old,)
    run = fit(
        toy_rows(120),
        method="full",
        model=str(tiny_bert),
        target="label",
        text="text",
        out=tmp_path / "run",
        data={"replay": [old], "replay_share": 1.0},
        training={"epochs": 1},
        evaluation={"certify": False, "resamples": 100, "reports": ["label_noise"]},
    )
    assert run.reports["label_noise"]["error"] is None
    assert reproduce(run.folder).equal
    said = examine(load(run.folder), "forgetting", references=[old], rows=300)["forgetting"]
    assert said["error"] is None
    assert any("were trained on and are left out" in one for one in said["said"])
    assert next(one for one in said["scores"] if one["name"].startswith("forgotten_"))["n"] < 300
