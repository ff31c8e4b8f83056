"""Neighbors against scikit-learn's, and a mislabeled training row that pulls errors to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from tests.engine.toy import toy_rows
from tests.evaluation.stand_in import subject
from tunewright.analysis.context import AnalysisContext, Inputs
from tunewright.analysis.reports.nearest_examples import Settings, nearest, report
from tunewright.core.errors import UserError
from tunewright.core.types import Labels, Predictions
from tunewright.pipeline.examine import examine
from tunewright.pipeline.workflow import fit


def test_neighbors_are_scikit_learns() -> None:
    generator = np.random.default_rng(0)
    rows, others = generator.normal(size=(7, 5)), generator.normal(size=(40, 5))
    near, cosines = nearest(rows, others, 3)
    distances, expected = NearestNeighbors(n_neighbors=3, metric="cosine").fit(others).kneighbors(rows)
    assert (near == expected).all()
    assert cosines == pytest.approx(1 - distances)
    assert nearest(rows * 0, others, 1)[1] == pytest.approx(0.0)
    assert nearest(rows, others[:2], 3)[0].shape == (7, 2)


def features(inputs: Inputs, before: bool = False) -> np.ndarray:
    """A direction by the angle that the text says."""
    angles = np.array([float(row[0].split()[-1]) for row in inputs])
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def planted(errors: int) -> AnalysisContext:
    """Class 'a' around angle 0 and 'b' around 1.5; train row 3 is mislabeled, and test rows near it are answered like it."""
    train = [("angle 0.0",), ("angle 0.1",), ("angle 0.4",), ("angle 1.5",), ("angle 1.6",)]
    test = [("angle 0.38",)] * errors + [("angle 1.55",)] * 4
    targets = {"train": np.array([0, 0, 1, 1, 1]), "test": np.array([0] * errors + [1] * 4)}
    shares = np.array([[0.2, 0.8]] * errors + [[0.1, 0.9]] * 4)
    labels = Labels("classification", ("a", "b"))
    inputs = {"train": train, "test": test}
    answers = {"test": Predictions(shares.argmax(1), shares)}
    return subject(answers, targets, labels, inputs=inputs, features=features)


def test_a_mislabeled_row_that_pulls_errors_is_named() -> None:
    told = report(planted(5), Settings())
    (finding,) = told.findings
    assert (finding.code, finding.rows) == ("pulling_rows", (3,))
    assert "to 5" in finding.message
    scores = {one.name: one for one in told.scores}
    assert scores["nearest_has_predicted_class"].value == 1.0
    assert scores["nearest_has_right_class"].value == 0.0
    assert scores["nearest_has_right_class"].high == pytest.approx(1 - 0.025 ** (1 / 5))
    assert told.grids[0].rows[0][4:7] == (3, "angle 0.4", "b")
    assert len(told.grids[0].rows) == 5 * 3


def test_few_errors_are_no_finding_and_none_are_said() -> None:
    assert report(planted(2), Settings()).findings == ()
    assert report(planted(0), Settings()).said == ("No test row is answered wrongly.",)
    streamed = planted(2)
    streamed.rows.pop("train")
    with pytest.raises(UserError, match="streamed"):
        report(streamed, Settings())


def test_numbers_have_neighbors_too() -> None:
    inputs = {"train": [("angle 0.0",), ("angle 1.0",)], "test": [("angle 0.9",), ("angle 0.2",)]}
    targets = {"train": np.array([1.0, 2.0]), "test": np.array([5.0, 1.1])}
    told = report(
        subject(
            {"test": Predictions(np.array([2.0, 1.0]), None)}, targets, Labels("regression"), inputs=inputs, features=features
        ),
        Settings(neighbors=1),
    )
    assert [row[0] for row in told.grids[0].rows] == [1, 2]
    assert told.scores == ()


def test_a_run_is_examined(tiny_bert: Path, tmp_path: Path) -> None:
    run = fit(
        toy_rows(120),
        method="full",
        model=str(tiny_bert),
        target="label",
        out=tmp_path / "run",
        training={"epochs": 1},
        evaluation={"certify": False, "resamples": 100, "reports": []},
    )
    found = examine(run, "nearest_examples")["nearest_examples"]
    assert found["error"] is None
    assert found["grids"][0]["rows"]
    assert "Worst errors" in run.report.read_text()
