"""Counterfactual texts: planted prejudice is found, its size and direction are right, and a fair model is left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine.toy import toy_rows
from tests.evaluation.stand_in import subject
from tunewright.analysis.evidence import Report
from tunewright.analysis.reports import counterfactual
from tunewright.analysis.reports.counterfactual import Settings
from tunewright.core.types import Labels, Predictions
from tunewright.pipeline.workflow import fit

LABELS = Labels("classification", ("bad", "good"))


def rows(n: int, seed: int = 0) -> list[tuple[str]]:
    """Texts of which every second names somebody: four of ten a man, the others a woman."""
    generator = np.random.default_rng(seed)
    who = ["he", "she"]
    return [
        (f"{who[int(generator.random() < 0.6)]} came on day {place}" if place % 2 else f"nobody came on day {place}",)
        for place in range(n)
    ]


def examined(read: Callable[[str], float], n: int = 200, seed: int = 0, **settings: Any) -> Report:
    """The report of a model that says 'good' with the probability that ``read`` gives a text."""

    def predict(inputs: Any, tests: Any = None) -> Predictions:
        good = np.array([read(row[0]) for row in inputs])
        return Predictions((good > 0.5).astype(int), np.column_stack([1 - good, good]))

    inputs = rows(n, seed)
    targets = np.zeros(n, dtype=int)
    made = subject(
        {"test": predict(inputs)},
        {"test": targets},
        LABELS,
        inputs={"test": inputs},
        predict=predict,
    )
    return counterfactual.report(made, Settings(**settings))


def day(text: str) -> float:
    return (int(text.split()[-1]) * 37 % 100) / 100


def test_planted_prejudice_is_found_with_its_size_and_direction() -> None:
    def prejudiced(text: str) -> float:
        return 0.7 * day(text) + (0.2 if "she" in text.split() else 0.0)

    found = examined(prejudiced)
    scores = {one.name: one for one in found.scores}
    flips = sum((prejudiced(one[0]) > 0.5) != (prejudiced(swap_by_hand(one[0])) > 0.5) for one in rows(200))
    assert scores["flips_gender"].value == pytest.approx(flips / 100)
    assert scores["flips_gender"].n == 100
    assert scores["mean_change_gender"].value == pytest.approx(0.2)
    assert scores["direction_gender"].value == pytest.approx(0.2)
    assert scores["direction_gender"].note == "feminine less masculine, good"
    codes = {finding.code: finding for finding in found.findings}
    assert len(codes["counterfactual_flips"].rows) == flips > 0
    assert (
        "feminine words in place of masculine ones raise the probability of 'good' by 0.2"
        in codes["counterfactual_direction"].message
    )
    assert found.grids[0].rows[0][:3] == ("gender", 100, 100)
    assert len(found.grids[1].rows) == 3
    assert "No test row has words of names, nationality to swap." in found.said


def swap_by_hand(text: str) -> str:
    return {"he": "she", "she": "he"}.get(text.split()[0], text.split()[0]) + text[len(text.split()[0]) :]


def test_a_model_that_does_not_read_them_is_left_alone() -> None:
    found = examined(day)
    assert found.findings == ()
    assert {one.value for one in found.scores} == {0.0}


def test_noise_without_a_direction_is_no_direction() -> None:
    def noisy(seed: int) -> Callable[[str], float]:
        return lambda text: float(np.random.default_rng([seed, *map(ord, text)]).random())

    accused = [
        finding.code
        for seed in range(40)
        for finding in examined(noisy(seed), seed=seed).findings
        if finding.code.endswith("direction")
    ]
    assert len(accused) <= 5  # 2 of 40 are expected by chance


def test_rows_are_drawn_and_that_is_said() -> None:
    found = examined(day, rows=20)
    assert found.grids[0].rows[0][:3] == ("gender", 100, 20)
    assert found.said[0].startswith(
        "100 of 200 test rows have words of gender; with those swapped in 20 of them 0 predictions change"
    )


def test_without_such_words_nothing_is_claimed() -> None:
    inputs = [("nothing to see",)] * 30
    answers = {"test": Predictions(np.zeros(30, dtype=int), np.tile([0.9, 0.1], (30, 1)))}
    made = subject(answers, {"test": np.zeros(30, dtype=int)}, LABELS, inputs={"test": inputs})
    found = counterfactual.report(made, Settings())
    assert found.scores == ()
    assert found.said == ("No test row has words of gender, names, nationality to swap.",)


def test_of_numbers_the_change_is_told() -> None:
    def predict(inputs: Any, tests: Any = None) -> Predictions:
        return Predictions(np.array([2.0 * day(row[0]) + 3.0 * ("he" in row[0].split()) for row in inputs]), None)

    inputs = rows(100)
    made = subject(
        {"test": predict(inputs)},
        {"test": np.zeros(100)},
        Labels("regression"),
        inputs={"test": inputs},
        predict=predict,
    )
    found = counterfactual.report(made, Settings())
    scores = {one.name: one for one in found.scores}
    assert "flips_gender" not in scores
    assert scores["direction_gender"].value == pytest.approx(-3.0)
    assert "lower the predicted value by 3" in found.findings[0].message


@pytest.mark.parametrize("task", ["multi_label", "ordinal", "regression", "sentence_similarity"])
def test_every_task_with_one_answer_makes_it(task: str, tiny_bert: Path, tmp_path: Path) -> None:
    who = ["he", "she", "nobody"]
    rows = [{"text": f"{who[place % 3]} {row['text']}"} for place, row in enumerate(toy_rows(60))]
    targets: dict[str, Any] = {
        "multi_label": lambda place: {"label": "a|b" if place % 2 else "b"},
        "ordinal": lambda place: {"label": place % 4},
        "regression": lambda place: {"label": place % 7 / 3},
        "sentence_similarity": lambda place: {"text_pair": f"my order from {who[place % 2]}", "label": place % 7 / 3},
    }
    run = fit(
        [row | targets[task](place) for place, row in enumerate(rows)],
        method="full",
        model=str(tiny_bert),
        task=task,
        target="label",
        out=tmp_path / "run",
        training={"epochs": 1},
        evaluation={"certify": False, "resamples": 100, "reports": ["counterfactual"]},
    )
    found = run.reports["counterfactual"]
    assert found["error"] is None
    scores = {one["name"]: one for one in found["scores"]}
    assert ("flips_gender" in scores) == (task in ("multi_label", "ordinal"))
    assert scores["mean_change_gender"]["n"] == found["grids"][0]["rows"][0][1] > 0
