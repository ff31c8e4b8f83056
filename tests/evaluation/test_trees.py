"""Boosted trees: the library's own predictions, classes and labels that train lacks, and a run that shows them beside its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from tests.heads.test_tables import toy
from tunewright.core.types import Labels
from tunewright.evaluation.trees import boosted
from tunewright.modalities.table.modality import Encoded
from tunewright.pipeline.workflow import fit

GENERATOR = np.random.default_rng(0)


def rows(count: int) -> Encoded:
    numbers = GENERATOR.normal(size=(count, 2)).astype(np.float32)
    missing = GENERATOR.random((count, 2)) < 0.1
    return Encoded(np.where(missing, 0, numbers), missing, GENERATOR.integers(0, 4, (count, 1)))


def test_numbers_are_the_librarys_own_with_gaps_as_gaps() -> None:
    train, test = rows(200), rows(20)
    wanted = train.numbers[:, 0] + train.categories[:, 0]
    columns = [np.where(part.missing, np.nan, part.numbers) for part in (train, test)]
    whole = [np.column_stack([values, part.categories]) for values, part in zip(columns, (train, test), strict=True)]
    plain = HistGradientBoostingRegressor(random_state=3, categorical_features=[False, False, True]).fit(whole[0], wanted)
    found = boosted(train, wanted, test, Labels("regression"), 3)
    np.testing.assert_array_equal(found.values, plain.predict(whole[1]))


def test_classes_that_no_training_row_has_get_nothing() -> None:
    train, test = rows(200), rows(20)
    wanted = 2 * (train.categories[:, 0] > 1).astype(np.int64)
    found = boosted(train, wanted, test, Labels("classification", ("a", "b", "c")), 0)
    assert found.values.tolist() == (2 * (test.categories[:, 0] > 1)).tolist()
    assert found.probabilities is not None
    assert found.probabilities[:, 1].tolist() == [0.0] * 20
    sets = np.stack([wanted > 0, np.ones(200)], 1).astype(np.int64)
    labeled = boosted(train, sets, test, Labels("multi_label", ("x", "y")), 0)
    assert labeled.values.tolist() == [[int(one > 1), 1] for one in test.categories[:, 0]]


def test_they_decide_by_costs_as_the_network_does() -> None:
    train, test = rows(200), rows(100)
    wanted = (GENERATOR.random(200) < 0.3).astype(np.int64)
    plain, dear = (
        boosted(train, wanted, test, Labels("classification", ("a", "b"), costs=costs), 0) for costs in ((), (1.0, 9.0))
    )
    assert plain.probabilities is not None
    assert dear.values.tolist() == [int(share > 0.1) for share in plain.probabilities[:, 1]]
    assert dear.values.sum() > plain.values.sum()


def test_the_watched_metric_stands_beside_the_others_for_all(tmp_path: Path) -> None:
    run = fit(
        toy(),
        method="full",
        target="label",
        out=tmp_path / "run",
        training={"max_steps": 2},
        evaluation={"certify": False, "monitor": "average_precision"},
    )
    found = {entry["of"] for entry in run.all_scores() if entry["name"] == "average_precision" and entry["value"] is not None}
    assert {"fine-tuned", "trees", "frozen", "majority"} <= found


@pytest.mark.parametrize("target", ["label", "income"])
def test_a_tables_report_has_them(tmp_path: Path, target: str) -> None:
    given = [row for row in toy() if row[target] is not None]
    run = fit(given, method="full", target=target, out=tmp_path / "run", training={"max_steps": 2}, evaluation={"certify": False})
    assert {"fine-tuned", "trees"} <= {entry["of"] for entry in run.all_scores()}
    assert "trees" in (run.folder / "report.html").read_text()
