"""A run that may forget only so much tries its remedies, takes the first that stays within, and fails where none does."""

from __future__ import annotations

import csv
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.engine.toy import toy_rows
from tunewright.config.reader import resolve
from tunewright.config.recipe import Recipe
from tunewright.core.errors import UserError
from tunewright.core.files import read_json, write_json
from tunewright.pipeline.forgetting_budget import _recipes
from tunewright.pipeline.workflow import fit, load
from tunewright.runs.run import Run


@pytest.fixture
def references(tmp_path: Path) -> str:
    path = tmp_path / "old.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows([f"{row['text']} {'card' if n % 2 else 'sad'}", n % 2] for n, row in enumerate(toy_rows(120, seed=7)))
    return str(path)


def run(tiny_bert: Path, out: Path, references: str, budget: float, **evaluation: Any) -> Run:
    reports = [{"name": "forgetting", "references": [references]}]
    return fit(
        toy_rows(90),
        model=str(tiny_bert),
        target="label",
        out=out,
        strategy="full",
        optimization={"learning_rate": 0.1, "head_learning_rate": 1e-2},  # so much that hardly anything is left of what it knew
        training={"epochs": 3},
        evaluation={"certify": False, "resamples": 100, "reports": reports, "max_forgetting": budget, **evaluation},
    )


def test_a_budget_that_is_met_at_once_needs_no_remedy(tiny_bert: Path, tmp_path: Path, references: str) -> None:
    done = run(tiny_bert, tmp_path / "run", references, 1.0)
    assert done.finished
    assert [row[0] for row in done.reports["forgetting_budget"]["grids"][0]["rows"]] == ["as_asked"]
    assert done.recipe.evaluation.max_forgetting is None  # what was run, so that it is reproduced alike
    assert (done.folder / "data" / "train.jsonl").is_file()
    assert done.predict(["the card is lost"])[0]["predicted"] in ("money", "mood", "post")
    assert sorted(path.name for path in (tmp_path / "run-attempts").iterdir()) == ["asked.json"]
    with pytest.raises(UserError, match="already holds a finished run"):
        run(tiny_bert, tmp_path / "run", references, 1.0)


def test_remedies_are_tried_in_order_and_failure_is_said(tiny_bert: Path, tmp_path: Path, references: str) -> None:
    with pytest.raises(UserError, match="no attempt forgot as little as max_forgetting") as failed:
        run(tiny_bert, tmp_path / "run", references, 0.0, remedies=("lower_rates", "fewer_layers"))
    kept = load(tmp_path / "run")
    assert kept.manifest["status"] == "failed"
    rows = kept.reports["forgetting_budget"]["grids"][0]["rows"]
    lost = {name: forgotten for name, _, forgotten, *_ in rows}
    assert list(lost) == ["as_asked", "lower_rates", "fewer_layers"]
    assert min(lost.values()) > 0
    assert f"{min(lost.values()):.3f}" in str(failed.value)
    report = kept.reports["forgetting"]["scores"]
    assert next(one["value"] for one in report if one["name"].startswith("forgotten")) == min(lost.values())
    assert "What was tried" in kept.report.read_text()


def test_attempts_that_were_made_are_not_made_again(tiny_bert: Path, tmp_path: Path, references: str) -> None:
    place = tmp_path / "run-attempts" / "as_asked"
    with pytest.raises(UserError):
        run(tiny_bert, tmp_path / "run", references, 0.0, remedies=())
    first = read_json(tmp_path / "run" / "manifest.json")["created"]
    (tmp_path / "run").rename(place)  # as if it had died before the last rename
    manifest = read_json(place / "manifest.json")
    write_json(place / "manifest.json", manifest | {"status": "done"})
    with pytest.raises(UserError, match="no attempt"):
        run(tiny_bert, tmp_path / "run", references, 0.0, remedies=())
    assert read_json(tmp_path / "run" / "manifest.json")["created"] == first
    (tmp_path / "run").rename(place)
    with pytest.raises(UserError, match=r"attempts of something else: evaluation\.resamples"):
        run(tiny_bert, tmp_path / "run", references, 0.0, remedies=(), resamples=200)


def test_each_remedy_changes_what_it_says() -> None:
    reports = [{"name": "forgetting", "references": ["old.csv"]}]
    every = ["wise_ft", "lower_rates", "l2_sp", "fewer_layers", "lora", "replay"]
    asked = resolve({"strategy": "full", "evaluation": {"max_forgetting": 0.1, "remedies": every, "reports": reports}})
    found = dict(_recipes(asked))
    assert list(found) == ["as_asked", *every]
    assert found["as_asked"].optimization == asked.optimization
    assert found["lower_rates"].optimization.learning_rate == asked.optimization.learning_rate / 4
    assert found["wise_ft"].averaging[-1].settings == {"alpha": 0.5}
    assert found["l2_sp"].regularizers[-1].name == "l2_sp"
    assert found["fewer_layers"].method.name == "last_layers"
    assert found["replay"].data.replay == ("old.csv",)
    assert found["lora"].method.name == "lora"
    assert found["lora"].optimization.learning_rate != asked.optimization.learning_rate
    assert all(one.evaluation.max_forgetting is None and isinstance(one, Recipe) for one in found.values())
    assert [name for name, _ in _recipes(found["lora"].model_copy(update={"evaluation": asked.evaluation}))] == [
        "as_asked",
        *every[:3],
        "replay",
    ]


def test_a_budget_without_references_is_refused() -> None:
    with pytest.raises(UserError, match="needs rows to measure forgetting by"):
        resolve({"evaluation": {"max_forgetting": 0.1}})


def test_replay_is_tried_with_the_rows_that_do_not_measure_or_says_why_not(tiny_bert: Path, tmp_path: Path) -> None:
    def old(name: str, labels: tuple[str, ...]) -> str:
        path = tmp_path / name
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            rows = enumerate(toy_rows(200, seed=7))
            writer.writerows([f"{row['text']} {'card' if n % 2 else 'sad'} {n}", labels[n % 2]] for n, row in rows)
        return str(path)

    def tried(name: str, reference: str) -> Run:
        reports = [{"name": "forgetting", "references": [reference], "rows": 100}]
        with suppress(UserError):  # whether it is enough is another question
            run(tiny_bert, tmp_path / name, reference, 0.0, remedies=("replay",), reports=reports)
        return load(tmp_path / name)

    report = tried("same", old("same.csv", ("mood", "money"))).reports["forgetting_budget"]
    assert [row[0] for row in report["grids"][0]["rows"]] == ["as_asked", "replay"]
    report = tried("other", old("other.csv", ("x", "y"))).reports["forgetting_budget"]
    assert [row[0] for row in report["grids"][0]["rows"]] == ["as_asked"]
    assert "'replay' was not tried" in report["said"][1]
