"""Costs: the decision with the least expected cost, its score, and a run that keeps them to its predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.heads.test_tables import QUICK, toy
from tunewright.artifacts.model_folder import load_model
from tunewright.core.errors import UserError
from tunewright.core.files import read_json, write_json
from tunewright.core.types import Labels
from tunewright.metrics import mean_cost
from tunewright.pipeline.workflow import fit
from tunewright.tasks.classification import task as classification

LABELS = Labels("classification", ("fine", "fraud", "unsure"), costs=(1.0, 8.0, 2.0))


def test_the_decision_has_the_least_expected_cost() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 3)) * 2
    found = classification.decode(logits, LABELS)
    assert found.probabilities is not None
    for row, shares in enumerate(found.probabilities):
        expected = [sum(shares[k] * LABELS.costs[k] for k in range(3) if k != chosen) for chosen in range(3)]
        assert found.values[row] == int(np.argmin(expected))
    assert (found.values != logits.argmax(1)).any()


def test_mean_cost_and_the_cheapest_constant_answer() -> None:
    targets = np.array([0] * 17 + [1] * 3)
    assert mean_cost.value(targets, np.zeros(20, dtype=int), LABELS) == pytest.approx(3 * 8 / 20)
    assert classification.majority(targets, targets, LABELS).values.tolist() == [1] * 20
    assert classification.metrics(LABELS)[-1] == "mean_cost"
    assert "mean_cost" not in classification.metrics(Labels("classification", ("a", "b")))


def test_one_cost_for_each_class() -> None:
    with pytest.raises(UserError, match=r"head.costs has 2 values for 3 classes.*fine, fraud, unsure"):
        classification.decided(LABELS, classification.Settings(costs=(1, 2)))
    with pytest.raises(ValueError, match="greater than 0"):
        classification.Settings(costs=(0, 1))


def test_a_run_decides_by_them_and_so_does_its_saved_model(tmp_path: Path) -> None:
    run = fit(
        toy(),
        method="full",
        out=tmp_path / "run",
        head={"name": "classification", "costs": (1, 50)},
        training={"max_steps": 3},
        evaluation={**QUICK["evaluation"], "certify": True},
        data=QUICK["data"],
    )
    scores = {(entry["of"], entry["name"]): entry["value"] for entry in run.all_scores()}
    assert {of for of, name in scores if name == "mean_cost"} == {"fine-tuned", "frozen", "majority"}
    answers = run.predict(toy()[:40])
    assert all(one["probabilities"]["True"] < 1 / 51 for one in answers if one["predicted"] == "False")
    saved = run.folder / "model" / "tunewright.json"
    content = read_json(saved)
    assert content["labels"]["costs"] == [1.0, 50.0]
    content["labels"]["costs"] = [1.0]
    write_json(saved, content)
    with pytest.raises(UserError, match="the costs in"):
        load_model(run.folder / "model")
