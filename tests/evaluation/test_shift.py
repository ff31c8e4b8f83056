"""Two-sample tests against their formulas and their false alarms, label shift with known shares, and words that were planted."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import false_discovery_control, fisher_exact

from tests.engine.toy import toy_rows
from tests.evaluation.stand_in import subject
from tunewright.analysis.context import Inputs
from tunewright.analysis.feature_drift import columns, words
from tunewright.analysis.label_shift import estimated_shares, same_predictions
from tunewright.analysis.reports.shift import Settings, report
from tunewright.analysis.two_samples import a_distance, classifier_test, mean_discrepancy
from tunewright.core.errors import UserError
from tunewright.core.types import Labels, Predictions
from tunewright.pipeline.workflow import fit


def halves(seed: int, moved: float = 0.0, rows: int = 120, width: int = 10) -> tuple[np.ndarray, np.ndarray]:
    features = np.random.default_rng(seed).normal(size=(2 * rows, width))
    features[rows:, 0] += moved
    return features[:rows], features[rows:]


def test_the_discrepancy_is_the_unbiased_one() -> None:
    first, second = halves(0, 0.5, rows=6)
    rows = np.concatenate([first, second])
    distances = np.square(rows[:, None] - rows).sum(2)
    kernel = np.exp(-distances / np.median(distances[np.triu_indices(12, 1)]))
    np.fill_diagonal(kernel, 0.0)
    within, beyond, across = kernel[:6, :6].sum() / 30, kernel[6:, 6:].sum() / 30, kernel[:6, 6:].mean()
    assert mean_discrepancy(first, second, 100)[0] == pytest.approx(within + beyond - 2 * across)


def test_two_halves_of_one_set_are_told_apart_as_rarely_as_chance_would() -> None:
    alarms = {"classifier": 0, "kernel": 0}
    for seed in range(100):
        first, second = halves(seed, rows=60)
        alarms["classifier"] += classifier_test(first, second, seed).p < 0.05
        alarms["kernel"] += mean_discrepancy(first, second, 100, seed)[1] <= 0.05
    assert max(alarms.values()) <= 12  # 5 expected; 13 and more have a chance of one in a thousand


def test_sets_that_differ_are_told_apart() -> None:
    first, second = halves(0, moved=1.5)
    judged = classifier_test(first, second)
    assert judged.p < 1e-6
    assert judged.a_distance == pytest.approx(2 * (2 * judged.accuracy - 1))
    assert mean_discrepancy(first, second, 200)[1] == pytest.approx(1 / 201)
    assert (a_distance(1.0), a_distance(0.5), a_distance(0.4)) == (2.0, 0.0, 0.0)
    same = np.ones((30, 3))
    assert classifier_test(same, same).accuracy == 0.5
    assert mean_discrepancy(same, same, 100)[1] == 1.0


def predicted(shares: list[float], rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes drawn by their shares, and predictions that are right three times in four."""
    generator = np.random.default_rng(seed)
    targets = generator.choice(len(shares), rows, p=shares)
    wrong = generator.random(rows) < 0.25
    return np.where(wrong, (targets + 1) % len(shares), targets), targets


def test_the_shares_of_unlabeled_rows_are_found() -> None:
    held, targets = predicted([0.5, 0.3, 0.2], 1500, 0)
    other, _ = predicted([0.2, 0.2, 0.6], 1500, 1)
    found = estimated_shares(held, targets, other, 3, confidence=0.95, resamples=200)
    assert found is not None
    assert found.estimated == pytest.approx([0.2, 0.2, 0.6], abs=0.05)
    assert (found.low <= found.estimated).all()
    assert (found.high >= found.estimated).all()
    counted = np.bincount(other, minlength=3) / 1500
    assert abs(counted[2] - 0.6) > 0.05  # counting predictions alone is biased
    assert same_predictions(held, other, 3, 1000) == pytest.approx(1 / 1001)


def test_shares_are_covered_by_their_intervals_and_equal_sets_are_not_accused() -> None:
    covered, alarms = 0, 0
    for seed in range(60):
        held, targets = predicted([0.5, 0.3, 0.2], 400, seed)
        other, _ = predicted([0.5, 0.3, 0.2], 400, 1000 + seed)
        found = estimated_shares(held, targets, other, 3, confidence=0.9, resamples=100, seed=seed)
        assert found is not None
        covered += int(((found.low <= [0.5, 0.3, 0.2]) & (found.high >= [0.5, 0.3, 0.2])).sum())
        alarms += same_predictions(held, other, 3, 200, seed) <= 0.05
    assert covered >= 0.84 * 180
    assert alarms <= 9


def test_a_model_that_confuses_two_classes_wholly_tells_no_shares() -> None:
    targets = np.arange(90) % 3
    held = np.where(targets == 2, 1, targets)
    assert estimated_shares(held, targets, held, 3, confidence=0.95, resamples=50) is None
    assert same_predictions(held, held, 3, 100) == 1.0


def test_words_are_tested_as_shares_and_corrected() -> None:
    first = [("the card is late",)] * 30 + [("the bank",)] * 70
    second = [("the card is late",)] * 60 + [("The bank",)] * 40
    found = {one.name: one for one in words(first, second)}
    assert (found["card"].first, found["card"].second) == (0.3, 0.6)
    assert found["the"].p == 1.0
    assert found["card"].p == pytest.approx(fisher_exact([[30, 60], [70, 40]])[1], rel=0.2)
    values = [one.p for one in words(first, second)]
    assert [one.corrected for one in words(first, second)] == pytest.approx(false_discovery_control(values, method="bh"))
    assert "words in a row" in found


def test_columns_are_told_by_value_number_and_gap() -> None:
    generator = np.random.default_rng(0)

    def rows(older: float, drivers: float, gaps: float) -> list[tuple[Any, ...]]:
        return [
            (
                str(round(generator.normal(40 + older, 10), 1)),
                "driver" if generator.random() < drivers else "clerk",
                None if generator.random() < gaps else 1.0,
                generator.choice(["a", "b"]),
            )
            for _ in range(300)
        ]

    told = [one for one in columns(rows(0, 0.2, 0.0), rows(8, 0.5, 0.2), ("age", "job", "flag", "other")) if one.corrected < 0.05]
    assert {one.name for one in told} == {"age", "job = driver", "job = clerk", "flag is empty"}
    told = [one for one in columns(rows(0, 0.2, 0.1), rows(0, 0.2, 0.1), ("age", "job", "flag", "other")) if one.corrected < 0.05]
    assert told == []


VOCABULARY = [f"word{number}" for number in range(200)]


def texts(rows: int, seed: int, planted: float = 0.0) -> list[tuple[str, ...]]:
    generator = random.Random(seed)
    return [(" ".join(generator.choices(VOCABULARY, k=12) + ["strike"] * (generator.random() < planted)),) for _ in range(rows)]


def counted(inputs: Inputs, before: bool = True) -> np.ndarray:
    assert before
    return np.array(
        [[row[0].count(f"word{number} ") for number in range(20)] + [row[0].count("strike")] for row in inputs], float
    )


def of_texts(planted: float, seed: int = 0, moved: bool = False, kind: str = "text", **more: Any) -> Any:
    inputs = {"train": texts(600, seed), "validation": texts(300, seed + 1), "test": texts(600, seed + 2, planted)}
    shares = {"train": [0.6, 0.4], "validation": [0.6, 0.4], "test": [0.2, 0.8] if moved else [0.6, 0.4]}
    answers, targets = {}, {}
    for place, part in enumerate(inputs):
        values, targets[part] = predicted(shares[part], len(inputs[part]), seed + 70 + place)
        answers[part] = Predictions(values, np.eye(2)[values])
    labels = Labels("classification", ("no", "yes"))
    return subject(answers, targets, labels, inputs=inputs, features=counted, kind=kind, **more)


def test_two_halves_of_one_set_have_no_finding_and_say_what_was_looked_at() -> None:
    told = [report(of_texts(0.0, seed), Settings(most=300)) for seed in range(10)]
    assert sum(len(one.findings) for one in told) <= 1
    assert all("of 201 words moved" in one.said[1] for one in told)
    scores = {one.name: one for one in told[0].scores}
    assert scores["proxy_a_distance"].low <= scores["proxy_a_distance"].value <= scores["proxy_a_distance"].high
    assert scores["two_sample_accuracy"].n == 300


def test_what_was_planted_is_named() -> None:
    told = report(of_texts(0.3, moved=True), Settings(most=600))
    found = {finding.code: finding for finding in told.findings}
    assert set(found) == {"shift", "moved", "label_shift"}
    assert "'strike' 0.0% to 29.8%" in found["moved"].message
    assert found["moved"].count == 2  # and the rows' length
    assert "yes 38.0% to 79.4%" in found["label_shift"].message
    (low, high) = next((row[3], row[4]) for row in told.grids[-1].rows if row[0] == "yes")
    assert low < 0.8 < high


def test_rows_of_a_file_are_compared_with_the_test_rows(tmp_path: Path) -> None:
    rows = texts(400, 99, planted=0.4)
    with (tmp_path / "live.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["text"], *rows])
    told = report(
        of_texts(0.0, predict=lambda inputs, tests: Predictions(np.ones(len(inputs), dtype=int), None)),
        Settings(rows=str(tmp_path / "live.csv")),
    )
    codes = {finding.code: finding.message for finding in told.findings}
    assert "'strike' 0.0% to 4" in codes["moved"]
    assert "label_shift" in codes
    assert str(tmp_path / "live.csv") in codes["moved"]


def test_few_rows_say_so_and_streamed_rows_are_refused() -> None:
    few = of_texts(0.0)
    few.rows["test"] = few.rows["test"].select(np.arange(10))
    told = report(few, Settings())
    assert told.scores[0].value is None
    assert "too few" in told.said[0]
    few.rows.pop("train")
    with pytest.raises(UserError, match="streamed"):
        report(few, Settings())


def test_a_run_is_examined(tiny_bert: Path, tmp_path: Path) -> None:
    run = fit(
        toy_rows(300),
        method="full",
        model=str(tiny_bert),
        target="label",
        out=tmp_path / "run",
        training={"epochs": 1},
        evaluation={"certify": False, "resamples": 100, "reports": ["shift"]},
    )
    found = run.reports["shift"]
    assert found["error"] is None
    assert found["findings"] == []
    assert found["grids"]


def test_equal_rows_have_no_discrepancy_by_their_last_bits() -> None:
    generator = np.random.default_rng(0)
    row = generator.normal(size=48).astype(np.float32)
    noise = 1 + np.finfo(np.float32).eps * generator.integers(-2, 3, (60, 48))
    rows = (row * noise).astype(np.float32)
    found, p = mean_discrepancy(rows[:30], rows[30:], 100)
    assert abs(found) < 1e-9
    assert p == 1
    apart = np.concatenate([rows[:30], rows[30:] * np.float32(1.001)])  # a real difference, small as it is
    assert mean_discrepancy(apart[:30], apart[30:], 100)[1] == pytest.approx(1 / 101)
