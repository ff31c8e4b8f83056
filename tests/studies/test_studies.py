"""Each study makes its runs once, says what came out, and its numbers are those of the runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.engine.toy import toy_recipe, toy_rows
from tunewright.config.recipe import Recipe
from tunewright.core.errors import UserError
from tunewright.core.files import read_json
from tunewright.core.registry import list_parts, load_part
from tunewright.core.types import Score
from tunewright.datasets.splits import first_rows
from tunewright.experiments.studies.learning_curve import doubling, power_law
from tunewright.experiments.trials import make_study
from tunewright.pipeline.steps import InMemoryData
from tunewright.runs.run import Run

NAMES = [part.name for part in list_parts("studies")]
GIVEN = InMemoryData(toy_rows(120))


def recipe(tiny_bert: Path, out: Path) -> Recipe:
    return toy_recipe(tiny_bert, out=out, strategy="full", training={"epochs": 2}, evaluation={"resamples": 100})


@pytest.mark.parametrize("name", NAMES)
def test_each_study_says_what_it_is_for(name: str) -> None:
    part = load_part("studies", name)
    for word in ("Source:", "When:", "When not:"):
        assert word in part.__doc__
    assert all(field.description for field in part.Settings.model_fields.values())


def test_a_learning_curve_makes_each_run_once(tiny_bert: Path, tmp_path: Path) -> None:
    asked = recipe(tiny_bert, tmp_path / "study")
    made = make_study("learning-curve", asked, {"points": 3, "seeds": 2}, given=GIVEN)
    runs = sorted(path.name for path in (made.folder / "runs").iterdir())
    assert len(runs) == 6
    rows = [row[0] for row in made.report.grids[0].rows]
    assert sorted(set(rows)) == [max(rows) // 4, max(rows) // 2, max(rows)]
    for name in runs:
        size = name.partition("-")[0]
        found = read_json(made.folder / "runs" / name / "data.json")["rows"]["train"]
        assert size == "all" or found == int(size)
    begun = {name: read_json(made.folder / "runs" / name / "manifest.json")["created"] for name in runs}
    again = make_study("learning-curve", asked, {"points": 3, "seeds": 2}, given=GIVEN)
    assert {name: read_json(made.folder / "runs" / name / "manifest.json")["created"] for name in runs} == begun
    assert again.report.said == made.report.said
    assert "twice as many" in (made.folder / "report.html").read_text()
    with pytest.raises(UserError, match="holds another study"):
        make_study("learning-curve", asked, {"points": 4}, given=GIVEN)


def test_from_scratch_keeps_nothing_and_is_compared_on_the_same_rows(tiny_bert: Path, tmp_path: Path) -> None:
    made = make_study("scratch", recipe(tiny_bert, tmp_path / "study"), {"halvings": 2, "epochs": 3}, given=GIVEN)
    scratch = Run(made.folder / "runs" / "from-scratch")
    assert "layers start from random weights" in " ".join(scratch.details["said"])
    assert scratch.recipe.training.epochs == 3
    assert len(made.report.grids[0].rows) == 4
    assert "from random ones" in made.report.said[0]


def test_transfer_has_a_run_for_each_depth_of_each_curve(tiny_bert: Path, tmp_path: Path) -> None:
    made = make_study("transfer", recipe(tiny_bert, tmp_path / "study"), {"epochs": 1, "every": 2}, given=GIVEN)
    curves = dict(made.report.charts[0].lines)
    assert len(curves) == 4
    assert {tuple(x for x, _ in curve) for curve in curves.values()} == {(0.0, 2.0, 4.0)}
    frozen = Run(made.folder / "runs" / "transferred-frozen-2-0")
    trained = {layer["name"]: layer["trainable"] for layer in frozen.details["layers"]}
    assert trained["embeddings"] == trained["block 0"] == 0
    assert trained["block 1"] > 0
    own = Run(made.folder / "runs" / "own-tuned-4-0")
    assert own.manifest["base"]["source"].endswith("own-0/model")
    assert "3 of 5 layers" not in " ".join(own.details["said"])


def test_wrong_settings_are_said() -> None:
    with pytest.raises(UserError, match="is not a setting of learning_curve"):
        make_study("learning-curve", toy_recipe(Path("x")), {"point": 3})
    with pytest.raises(UserError, match="learning_curve"):
        make_study("learning-curves", toy_recipe(Path("x")), {})


def test_a_power_law_is_found_and_followed() -> None:
    sizes = np.array([100, 200, 400, 800])
    assert power_law(sizes, 3 * sizes**-0.5) == pytest.approx((3, 0.5))
    values = {int(n): float(1 - 3 * n**-0.5) for n in sizes}
    points = [(n, Score("accuracy", value, value - 0.01, value + 0.01, 500)) for n, value in values.items()]
    found = doubling(points, 0)
    assert found.value == pytest.approx(1 - 3 * 1600**-0.5)
    assert found.low < found.value < found.high  # type: ignore[operator]
    assert found.high - found.low < 0.05  # type: ignore[operator]


def test_fewer_rows_are_among_more_and_keep_the_classes_shares() -> None:
    targets = np.repeat([0, 1, 2], [300, 90, 10])
    few, more = first_rows(targets, 40, 1), first_rows(targets, 200, 1)
    assert set(few) < set(more)
    assert np.bincount(targets[more]).tolist() == pytest.approx([150, 45, 5], abs=1)
    assert np.bincount(targets[few], minlength=3).tolist() == pytest.approx([30, 9, 1], abs=1)
    assert not np.array_equal(few, first_rows(targets, 40, 2))
    numbers = np.linspace(0, 1, 100)
    assert np.quantile(numbers[first_rows(numbers, 24, 0)], [0.25, 0.75]) == pytest.approx([0.25, 0.75], abs=0.1)
