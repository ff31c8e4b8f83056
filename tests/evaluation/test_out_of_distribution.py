"""Areas against scikit-learn's, the distance against its formula, and what is said of rows that were planted."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score, roc_curve

from tests.engine.toy import toy_rows
from tests.evaluation.stand_in import subject
from tunewright.analysis.context import AnalysisContext, Inputs
from tunewright.analysis.distances import mahalanobis
from tunewright.analysis.ranking import false_positives_at, ranking_area
from tunewright.analysis.reports.out_of_distribution import Settings, energy, report
from tunewright.core.errors import UserError
from tunewright.core.types import Labels, Predictions
from tunewright.pipeline.examine import examine
from tunewright.pipeline.workflow import fit

CENTRES = np.array([[4.0, 0, 0, 0], [0, 4.0, 0, 0], [0, 0, 4.0, 0]])


def test_the_area_is_scikit_learns_with_ties_and_with_rows_that_count_often() -> None:
    generator = np.random.default_rng(0)
    wanted = generator.random(200) < 0.3
    values = np.round(generator.normal(size=200) + wanted, 1)
    counts = generator.multinomial(200, np.full(200, 1 / 200), size=5)
    found = ranking_area(values, wanted)(counts)
    expected = [roc_auc_score(wanted, values, sample_weight=row) for row in counts]
    assert found == pytest.approx(expected)
    assert np.isnan(ranking_area(values, np.ones(200, dtype=bool))(counts)).all()


def test_false_positives_are_those_of_scikit_learns_curve() -> None:
    generator = np.random.default_rng(1)
    wanted = generator.random(300) < 0.5
    values = np.round(generator.normal(size=300) + 1.5 * wanted, 1)
    false, true, _ = roc_curve(wanted, values, drop_intermediate=False)
    expected = false[np.flatnonzero(true >= 0.95)[0]]
    assert false_positives_at(values, wanted)(np.ones((1, 300)))[0] == pytest.approx(expected)
    assert np.isnan(false_positives_at(values, np.zeros(300, dtype=bool))(np.ones((1, 300)))[0])


def test_the_distance_is_that_of_the_nearest_mean_in_units_of_the_spread() -> None:
    generator = np.random.default_rng(0)
    classes = generator.integers(0, 3, 50_000)
    spread = np.diag([1.0, 4.0, 0.25, 1.0])
    features = generator.normal(size=(50_000, 4)) @ np.sqrt(spread) + CENTRES[classes]
    row = np.array([[1.0, 2.0, 3.0, 4.0]])
    expected = min((row[0] - mean) @ np.linalg.inv(spread) @ (row[0] - mean) for mean in CENTRES)
    assert mahalanobis(features, classes)(row)[0] == pytest.approx(expected, rel=0.02)
    flat = mahalanobis(np.zeros((10, 3)), np.zeros(10, dtype=int))(np.array([[0.0, 0, 0], [1.0, 0, 0]]))
    assert np.isfinite(flat).all()
    assert flat[1] > flat[0]


def test_energy_is_the_log_of_the_sum_and_does_not_overflow() -> None:
    logits = np.array([[1.0, 2.0, 3.0], [1000.0, 0.0, -1000.0]])
    assert energy(logits) == pytest.approx(logsumexp(logits, axis=1))


def features_of(inputs: Inputs, before: bool = False) -> np.ndarray:
    """Around its class's centre; 'far' rows lie elsewhere. The text says class and seed."""
    found = []
    for (text,) in inputs:
        kind, seed = text.split()
        centre = np.array([0, 0, 0, 9.0]) if kind == "far" else CENTRES[int(kind)]
        found.append(centre + np.random.default_rng(int(seed)).normal(size=4))
    return np.array(found)


def planted(test_far: int, rows: int = 300) -> AnalysisContext:
    generator = np.random.default_rng(0)
    targets = {part: generator.integers(0, 3, rows) for part in ("train", "validation", "test")}
    inputs = {
        part: [(f"{target} {10_000 * place + index}",) for index, target in enumerate(targets[part])]
        for place, part in enumerate(targets)
    }
    inputs["test"] = [(f"far {index}",) if index < test_far else row for index, row in enumerate(inputs["test"])]
    return subject(
        {part: Predictions(one, None) for part, one in targets.items()},
        targets,
        Labels("classification", ("a", "b", "c")),
        inputs=inputs,
        features=features_of,
        logits=lambda rows: features_of(rows)[:, :3],
    )


def others(folder: Path, texts: list[str]) -> str:
    with (folder / "others.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["text"], *([text] for text in texts)])
    return str(folder / "others.csv")


def test_far_test_rows_are_counted_and_named_and_none_are_where_there_are_none() -> None:
    told = report(planted(20), Settings())
    assert [finding.code for finding in told.findings] == ["far_rows"]
    assert set(range(1, 21)) <= set(told.findings[0].rows)
    assert told.findings[0].count <= 27
    told = report(planted(0), Settings())
    assert told.findings == ()
    assert told.scores[0].value < 0.03


def test_rows_out_of_scope_are_told_apart_and_rows_in_scope_are_not(tmp_path: Path) -> None:
    told = report(planted(0), Settings(others=others(tmp_path, [f"far {seed}" for seed in range(100)])))
    scores = {one.name: one for one in told.scores}
    assert scores["auroc_mahalanobis"].low > 0.99
    assert scores["auroc_energy"].low > 0.9
    passed = scores["fpr95_mahalanobis"]
    assert passed.value == 0.0
    assert passed.high == pytest.approx(1 - 0.025 ** (1 / 100))  # none of 100, exactly
    assert told.findings == ()
    told = report(planted(0), Settings(others=others(tmp_path, [f"{seed % 3} {seed + 77_777}" for seed in range(100)])))
    scores = {one.name: one for one in told.scores}
    assert scores["auroc_mahalanobis"].low < 0.5 < scores["auroc_mahalanobis"].high
    assert [finding.code for finding in told.findings] == ["outside_unknown"]


def test_few_rows_are_undefined_and_a_file_without_the_column_is_refused(tmp_path: Path) -> None:
    told = report(planted(0, rows=50), Settings())
    assert told.scores[0].value is None
    assert "too few" in told.scores[0].note
    (tmp_path / "wrong.csv").write_text("words\nhello\n")
    with pytest.raises(UserError, match="text"):
        report(planted(0), Settings(others=str(tmp_path / "wrong.csv")))


def test_a_run_tells_its_texts_from_others(tiny_bert: Path, tmp_path: Path) -> None:
    run = fit(
        toy_rows(150),
        method="full",
        model=str(tiny_bert),
        target="label",
        out=tmp_path / "run",
        training={"epochs": 1},
        evaluation={"certify": False, "resamples": 100, "reports": []},
    )
    texts = [" ".join("hgfedcba")] * 30
    found = examine(run, "out_of_distribution", others=others(tmp_path, texts))["out_of_distribution"]
    assert found["error"] is None
    scores = {one["name"]: one for one in found["scores"]}
    assert scores["auroc_mahalanobis"]["value"] > 0.9
    assert scores["auroc_energy"]["n"] == 30 + scores["far_rows"]["n"]
