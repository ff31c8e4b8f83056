"""Thresholds of several labels: the best F1 on the rows they are tuned on, saved with the model and used again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from tunewright.core.errors import UserError
from tunewright.core.files import read_json, write_json
from tunewright.core.types import Labels, Predictions
from tunewright.heads import multi_label
from tunewright.runs.artefact import load_model
from tunewright.workflow import fit

LABELS = Labels("multi_label", ("a", "b", "c"))
TUNED = multi_label.Settings(thresholds="tuned")


def test_each_threshold_is_the_best_of_all() -> None:
    generator = np.random.default_rng(0)
    targets = (generator.random((80, 3)) < (0.1, 0.3, 0.6)).astype(np.float32)
    shares = np.round(np.clip(0.3 * targets + generator.random((80, 3)) * 0.5, 0, 1), 2)  # with ties
    tuned = multi_label.tune(Predictions((shares > 0.5).astype(np.int64), shares), targets, LABELS, TUNED)
    assert len(tuned.thresholds) == 3
    for place, threshold in enumerate(tuned.thresholds):
        every = [f1_score(targets[:, place], shares[:, place] >= cut) for cut in np.unique(shares[:, place])]
        assert f1_score(targets[:, place], shares[:, place] >= threshold) == pytest.approx(max(every))


def test_a_class_of_hardly_any_row_and_half_keep_one_half() -> None:
    targets = np.zeros((20, 3), dtype=np.float32)
    targets[:4, 0], targets[:, 1], targets[::2, 2] = 1, 1, 1
    shares = np.tile(np.linspace(0.01, 0.3, 20)[:, None], 3)
    found = multi_label.tune(Predictions(np.zeros((20, 3), np.int64), shares), targets, LABELS, TUNED)
    assert found.thresholds[0] == 0.5
    assert found.thresholds[1] < 0.01
    assert multi_label.tune(Predictions(np.zeros((20, 3), np.int64), shares), targets, LABELS, multi_label.Settings()) is LABELS


def test_decisions_are_taken_at_the_thresholds() -> None:
    logits = np.array([[0.0, 1.0, -1.0]])
    assert multi_label.decode(logits, LABELS).values.tolist() == [[0, 1, 0]]
    own = Labels("multi_label", LABELS.names, thresholds=(0.5, 0.8, 0.2))
    assert multi_label.decode(logits, own).values.tolist() == [[1, 0, 1]]


def rows(count: int) -> list[dict[str, Any]]:
    """'rare' is on one row in eight and hard to tell."""
    return [
        {"text": f"the {'card' if n % 2 else 'bank'} is {'lost' if n % 8 == 0 else ['new', 'old', 'late'][n % 3]} {n % 7}",
         "tags": ["card"] * (n % 2) + ["rare"] * (n % 8 == 0) + ["other"] * (n % 3 == 0)}
        for n in range(count)
    ]  # fmt: skip


def test_they_are_saved_and_used_again(tiny_bert: Path, tmp_path: Path) -> None:
    run = fit(
        rows(200),
        model=str(tiny_bert),
        target="tags",
        out=tmp_path / "run",
        head={"name": "multi_label", "thresholds": "tuned"},
        data={"near_duplicates": "ignore"},
        rates={"backbone": 1e-3, "head": 3e-3},
        training={"epochs": 3},
        evaluation={"baselines": ()},
    )
    saved = read_json(run.folder / "model" / "tunewright.json")["labels"]["thresholds"]
    assert len(saved) == 3
    assert saved != [0.5] * 3
    given = run.predict([row["text"] for row in rows(8)])
    for row in given:
        named = [name for name, at in zip(run.model.labels.names, saved, strict=True) if row["probabilities"][name] >= at]
        assert row["predicted"] == named
    damaged = read_json(run.folder / "model" / "tunewright.json")
    damaged["labels"]["thresholds"] = [0.5]
    write_json(run.folder / "model" / "tunewright.json", damaged)
    with pytest.raises(UserError, match="a probability for each label"):
        load_model(run.folder / "model")
