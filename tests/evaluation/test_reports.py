"""Every report keeps the contract; a run makes those of its recipe, and a finished run makes more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tunewright
from tests.engine.toy import toy_rows
from tunewright.analysis.reporting import chosen
from tunewright.config.recipe import DEFAULT_REPORTS, Choice
from tunewright.core.errors import UserError
from tunewright.core.files import read_json
from tunewright.core.registry import list_parts, load_part
from tunewright.pipeline.examine import examine
from tunewright.pipeline.workflow import fit
from tunewright.runs.run import Run

NAMES = [part.name for part in list_parts("reports")]


@pytest.fixture(scope="module")
def run(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fit(
        toy_rows(120),
        method="full",
        model=str(tiny_bert),
        target="label",
        out=tmp_path_factory.mktemp("reports") / "run",
        training={"epochs": 2},
        optimization={"learning_rate": 1e-3, "head_learning_rate": 1e-2},
        evaluation={"certify": False, "resamples": 100},
    )


@pytest.mark.parametrize("name", NAMES)
def test_each_report_says_what_it_is_for(name: str) -> None:
    part = load_part("reports", name)
    assert isinstance(part.DEFAULT, bool)
    assert part.TASKS is None or part.TASKS
    assert part.KINDS is None or part.KINDS
    for word in ("Source:", "When:", "When not:"):
        assert word in part.__doc__
    assert all(field.description for field in part.Settings.model_fields.values())
    assert part.Settings.model_config["extra"] == "forbid"


def test_a_run_makes_the_default_reports(run: Run) -> None:
    expected = [choice.name for choice in chosen((DEFAULT_REPORTS,), "classification", "text")]
    assert list(run.reports) == expected
    for name, found in run.reports.items():
        assert found["error"] is None, f"{name}: {found['error']}"
        assert found["said"] or found["findings"], f"{name} says nothing"
        for one in found["scores"]:
            assert one["value"] is None or one["low"] is None or one["low"] <= one["value"] <= one["high"]
            assert one["value"] is not None or one["note"]
    page = run.report.read_text()
    assert all(f'<section id="{name}">' in page for name in expected)


def test_a_finished_run_makes_the_same_again(run: Run) -> None:
    before = run.reports["calibration"]
    again = examine(run, "calibration")["calibration"]
    assert [one["value"] for one in again["scores"]] == pytest.approx([one["value"] for one in before["scores"]], abs=1e-4)
    more = examine(run, "calibration", bins=5)["calibration"]
    assert len(more["charts"][0]["lines"][0][1]) == 5
    assert json.dumps(read_json(run.folder / "scores.json")["reports"]["calibration"]) == json.dumps(more)


def test_what_means_nothing_is_refused_before_training() -> None:
    with pytest.raises(UserError, match="means nothing for regression"):
        chosen([Choice(name="calibration")], "regression", "text")
    assert "calibration" not in [choice.name for choice in chosen((DEFAULT_REPORTS,), "regression", "text")]


def test_none_are_made_where_none_are_wanted(tiny_bert: Path, tmp_path: Path) -> None:
    wanted = {"certify": False, "resamples": 100, "reports": ()}
    run = fit(
        toy_rows(60),
        method="full",
        model=str(tiny_bert),
        target="label",
        out=tmp_path / "run",
        training={"epochs": 1},
        evaluation=wanted,
    )
    assert run.reports == {}
    with pytest.raises(UserError, match="is not a setting of calibration"):
        tunewright.fit(
            toy_rows(60), model=str(tiny_bert), target="label", evaluation={"reports": [{"name": "calibration", "bin": 3}]}
        )
    with pytest.raises(UserError, match="settings belong to one report"):
        examine(run, bins=5)


def test_a_report_that_fails_costs_the_run_nothing_else(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("of nothing")

    monkeypatch.setattr(load_part("reports", "calibration"), "report", broken)
    monkeypatch.delenv("TUNEWRIGHT_STRICT")
    found = examine(run, "calibration", "selective_prediction")
    assert "ZeroDivisionError: of nothing; this is our fault" in found["calibration"]["error"]
    assert found["selective_prediction"]["error"] is None
    assert "Not made: ZeroDivisionError" in run.report.read_text()
    monkeypatch.setenv("TUNEWRIGHT_STRICT", "1")
    with pytest.raises(ZeroDivisionError):
        examine(run, "calibration")
