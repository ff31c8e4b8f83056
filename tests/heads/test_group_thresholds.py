"""Thresholds by group: found by trying all, kept with the model, used by predict, and refused where the group is not told."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine.toy import toy_recipe, toy_setup
from tunewright.artifacts.model_folder import load_model
from tunewright.config.reader import resolve
from tunewright.core.errors import UserError
from tunewright.core.files import read_json, write_json
from tunewright.core.types import GroupThresholds, Labels, Predictions
from tunewright.datasets.groups import MISSING, groups_of, placed
from tunewright.datasets.table import Table
from tunewright.pipeline.workflow import fit
from tunewright.runs.run import load
from tunewright.tasks.classification import task as classification
from tunewright.tasks.shared.group_thresholds import FEWEST, decided_by, fitted, places_of

LABELS = Labels("classification", ("no", "yes"))


def drawn(n: int, seed: int, unfair: float = 0.25) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of yes, whether it is right, and the place of the group; the first group's are lower by ``unfair``."""
    generator = np.random.default_rng(seed)
    places, wanted = generator.integers(0, 2, n), generator.integers(0, 2, n) > 0
    shares = np.clip(generator.beta(2, 2, n) * 0.6 + 0.4 * wanted - unfair * (places == 0), 0.01, 0.99)
    return shares, wanted, places


def rate(given: np.ndarray, wanted: np.ndarray, parity: str) -> float:
    return float((given if parity == "demographic_parity" else given[wanted]).mean())


@pytest.mark.parametrize("parity", ["demographic_parity", "equal_opportunity"])
def test_no_other_thresholds_are_as_accurate_with_as_small_a_gap(parity: Any) -> None:
    shares, wanted, places = drawn(80, 0)
    found = fitted(shares, wanted, places, 2, parity)
    own = [places == group for group in range(2)]

    def judged(limits: tuple[float, float]) -> tuple[int, float]:
        given = shares > np.array(limits)[places]
        rates = [rate(given[rows], wanted[rows], parity) for rows in own]
        return int((given == wanted).sum()), abs(rates[0] - rates[1])

    right, gap = judged((found[0], found[1]))
    step = max(1 / (rows.sum() if parity == "demographic_parity" else (wanted & rows).sum()) for rows in own)
    assert gap <= step
    cuts = [np.append(np.sort(shares[rows]), 1.0) - 1e-9 for rows in own]
    assert right == max(many for limits in product(*cuts) for many, apart in [judged(limits)] if apart <= gap + 1e-9)


def test_new_rows_of_the_groups_are_given_the_class_alike() -> None:
    found = fitted(*drawn(2000, 1), 2, "demographic_parity")
    shares, _, places = drawn(2000, 2)
    kept = GroupThresholds("side", 1, ("left", "right"), (found[0], found[1]))
    plain = Predictions((shares > 0.5).astype(int), np.column_stack([1 - shares, shares]))
    gaps = [
        abs(np.subtract(*[one.values[places == group].mean() for group in range(2)]))
        for one in (plain, decided_by(plain, places, kept))
    ]
    assert gaps[0] > 0.25
    assert gaps[1] < 0.05
    assert found[0] < found[1] - 0.1
    other = replace(kept, given=0, thresholds=(0.2, 0.7))
    given = decided_by(plain, places, other).values == 0
    assert (given == (1 - shares > np.where(places == 0, 0.2, 0.7))).all()


def test_a_class_given_to_all_or_none_and_equal_probabilities_are_possible() -> None:
    wanted = np.repeat([True, False], [30, 10])
    shares, places = np.full(40, 0.4), np.zeros(40, dtype=int)
    assert fitted(shares, wanted, places, 1, "demographic_parity") == {0: pytest.approx(0.2)}
    assert fitted(shares, ~wanted, places, 1, "demographic_parity") == {0: pytest.approx(0.7)}


def test_groups_that_the_rows_do_not_tell_take_one_half() -> None:
    shares, wanted, places = drawn(200, 3)
    few = np.flatnonzero((places == 1) & wanted)[FEWEST - 1 :]
    kept = np.delete(np.arange(200), few)
    groups = groups_of("side", {"validation": [("left", "right")[at] for at in places[kept]], "test": ["rare"]}, 4)
    settings = classification.Settings(thresholds_by="side")
    answers = Predictions(np.zeros(len(kept), dtype=int), np.column_stack([1 - shares[kept], shares[kept]]))
    labels = classification.tune_groups(answers, wanted[kept].astype(int), LABELS, settings, groups)
    assert labels.groups is not None
    assert labels.groups.names == ("left", "rare", "right")
    assert labels.groups.thresholds[1:] == (0.5, 0.5)
    assert labels.groups.thresholds[0] != 0.5
    with pytest.raises(UserError, match="no group of 'side' has 10 validation rows of each class"):
        classification.tune_groups(answers, np.zeros(len(kept), dtype=int), LABELS, settings, groups)


def test_numbers_find_their_part_again() -> None:
    ages: list[Any] = [*range(20, 60), None]
    groups = groups_of("age", {"test": ages}, 4)
    assert groups.names[-1] == MISSING
    again = placed([str(age) if age else "" for age in ages], groups.names, groups.edges)
    assert (again == groups.places["test"]).all()
    assert placed([3, 99, "old"], groups.names, groups.edges).tolist() == [0, 3, -1]
    tied = groups_of("n", {"test": [1] * 30 + list(range(2, 12))}, 4)  # the lowest quarter ends where it begins
    assert len(tied.edges) == len(tied.names) - 1
    assert (placed([1, 11], tied.names, tied.edges) == tied.places["test"][[0, -1]]).all()


def test_a_group_that_is_missing_or_new_is_refused_with_its_rows() -> None:
    kept = GroupThresholds("side", 1, ("left", "right"), (0.4, 0.6))
    assert places_of(Table({"Side": ["right", "left"]}, (2, 3), "rows.csv"), kept).tolist() == [1, 0]
    with pytest.raises(UserError, match=r"rows\.csv has no column 'side'"):
        places_of(Table({"text": ["a"]}, (2,), "rows.csv"), kept)
    with pytest.raises(UserError, match=r"rows 3, 4: the group 'up' of 'side' has no threshold"):
        places_of(Table({"side": ["left", "up", None]}, (2, 3, 4), "rows.csv"), kept)


@pytest.mark.parametrize(
    ("labels", "settings", "said"),
    [
        (Labels("classification", ("a", "b", "c")), {}, "there are 3"),
        (LABELS, {"positive": "yess"}, "yess"),
        (LABELS, {"costs": (1.0, 2.0)}, "both say"),
    ],
)
def test_what_does_not_go_together_is_refused_before_training(labels: Labels, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        classification.decided(labels, classification.Settings(thresholds_by="side", **settings))


def rows(n: int, seed: int = 0) -> list[dict[str, str]]:
    """Words that tell the class, less often so on the left."""
    generator = np.random.default_rng(seed)
    found = []
    for number in range(n):
        label, side = ("no", "yes")[number % 2], ("left", "right")[number // 2 % 2]
        misled = generator.random(3) < (0.6 if side == "left" and label == "yes" else 0.2)
        words = " ".join(("bad", "good")[int((label == "yes") != one)] for one in misled)
        found.append({"text": f"{words} {'abcdefgh'[number % 8]} {number}", "label": label, "side": side})
    return found


@pytest.fixture(scope="module")
def run(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return fit(
        rows(240),
        method="full",
        model=str(tiny_bert),
        text="text",
        target="label",
        out=tmp_path_factory.mktemp("groups") / "run",
        head={"name": "classification", "thresholds_by": "side", "calibrate": "temperature"},
        data={"validation_size": 0.3, "test_size": 0.3, "near_duplicates": "ignore"},
        training={"epochs": 3, "precision": "float32"},
        optimization={"learning_rate": 1e-3, "head_learning_rate": 1e-2},
        evaluation={"resamples": 100, "reports": [{"name": "fairness", "columns": "side"}, "robustness", "shift"]},
    )


def test_a_run_keeps_the_thresholds_and_all_its_answers_agree(run: Any) -> None:
    saved = load(run.folder)
    groups = saved.model.labels.groups
    assert groups is not None
    assert groups.names == ("left", "right")
    assert groups.thresholds[0] != groups.thresholds[1]
    assert all(report["error"] is None for report in saved.reports.values())
    kept = [line.split(",") for line in (run.folder / "predictions.csv").read_text(encoding="utf-8").splitlines()]
    names = kept[0]
    by_text = {row["text"]: row for row in rows(240)}
    tested = [by_text[line[names.index("text")]] for line in kept[1:]]
    told = saved.predict(tested)
    assert [one["predicted"] for one in told] == [line[names.index("predicted")] for line in kept[1:]]
    limits = dict(zip(groups.names, groups.thresholds, strict=True))
    pairs = list(zip(told, tested, strict=True))
    for one, row in pairs:
        assert (one["predicted"] == "yes") == (one["probabilities"]["yes"] > limits[row["side"]])
    scored = {one.name: one.value for one in saved.evaluate(tested)}
    assert scored["accuracy"] == pytest.approx(np.mean([one["predicted"] == row["label"] for one, row in pairs]))
    assert scored["accuracy"] == next(one.value for one in saved.scores if one.name == "accuracy")
    moved = [row | {"side": "right" if row["side"] == "left" else "left"} for row in tested]
    between = [min(limits.values()) < one["probabilities"]["yes"] <= max(limits.values()) for one in told]
    changed = [one["predicted"] != other["predicted"] for one, other in zip(told, saved.predict(moved), strict=True)]
    assert changed == between
    assert any(between)


def test_the_column_is_asked_for_and_its_use_is_told(run: Any, tiny_bert: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no column 'side'"):
        run.predict(["good a 1"])
    for page in ("report.html", "README.md"):
        assert "question of law" in (run.folder / page).read_text(encoding="utf-8")
    assert run.manifest["certified"]["equal"]
    with pytest.raises(UserError, match="sidee"):
        fit(rows(40), model=str(tiny_bert), target="label", text="text", out=tmp_path / "no", head={"thresholds_by": "sidee"})
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("wrong", [{"thresholds": [0.5]}, {"thresholds": [0.5, 2.0]}, {"given": 2}, {"edges": [3.0, 1.0]}])
def test_thresholds_that_were_changed_are_refused(run: Any, wrong: dict[str, Any]) -> None:
    place = run.folder / "model" / "tunewright.json"
    content = read_json(place)
    write_json(place, content | {"labels": content["labels"] | {"groups": content["labels"]["groups"] | wrong}})
    try:
        with pytest.raises(UserError, match="thresholds by group"):
            load_model(run.folder / "model")
    finally:
        write_json(place, content)


def test_settings_without_a_name_are_those_of_the_tasks_own_head(tiny_bert: Path) -> None:
    recipe = toy_recipe(tiny_bert, head={"calibrate": "temperature"})
    setup = toy_setup(recipe)
    assert setup.head is classification
    assert setup.head_settings.calibrate == "temperature"
    again = resolve(setup.recipe.model_dump(mode="json"))
    assert again.head == setup.recipe.head
    with pytest.raises(UserError, match=r"'head\.calibrat' is not a setting of classification.*calibrate"):
        toy_setup(toy_recipe(tiny_bert, head={"calibrat": "temperature"}))
