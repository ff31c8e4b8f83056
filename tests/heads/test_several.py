"""Several columns on one backbone: each column's own loss, probe, decoding and score, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tunewright.core.errors import UserError
from tunewright.core.types import Labels, Predictions
from tunewright.datasets.prepare import prepare
from tunewright.evaluation.intervals import score
from tunewright.pipeline.workflow import fit
from tunewright.tasks.classification import task as classification
from tunewright.tasks.multi_task import task as several
from tunewright.tasks.regression import task as regression

TOPIC, STARS = Labels("classification", ("card", "film", "order")), Labels("regression", mean=2.0, spread=0.5)
LABELS = Labels("multi_task", parts=(("topic", TOPIC), ("stars", STARS)))


def test_the_loss_is_the_weighted_sum_of_the_columns_own() -> None:
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[0, 2.5], [1, 1.0], [2, 2.0], [0, 3.0]], dtype=torch.float64)
    settings = several.Settings(weights={"stars": 0.5})
    weights = several.class_weights(targets.numpy(), LABELS, settings)
    found = several.losses(logits, targets, LABELS, settings, weights)
    first = classification.losses(logits[:, :3], targets[:, 0].long(), TOPIC, classification.Settings(), None)
    second = regression.losses(logits[:, 3:], targets[:, 1].float(), STARS, regression.Settings(), None)
    torch.testing.assert_close(found, first + 0.5 * second)
    with pytest.raises(UserError, match="names 'colour'"):
        several.class_weights(targets.numpy(), LABELS, several.Settings(weights={"colour": 1.0}))


def test_columns_are_scored_apart_and_together() -> None:
    targets = np.array([[0, 1.0], [1, 2.0], [2, 3.0], [0, 2.0]] * 5)
    values = targets.copy()
    values[::4, 0] = 1
    given = Predictions(values, None)
    names = several.metrics(LABELS)
    assert names == ("mean_column_score", "topic:accuracy", "stars:root_mean_squared_error")
    found = [score(name, targets, given, LABELS) for name in names]
    assert [one.value for one in found] == pytest.approx([0.875, 0.75, 0.0])
    assert found[1].low is not None
    assert found[1].low < 0.75


def rows(count: int) -> list[dict[str, Any]]:
    things, words = ("card", "film", "order"), ("awful", "good", "great")
    return [
        {"text": f"this {words[n % 4 % 3]} {things[n % 3]} {n % 7} {n % 5}", "topic": things[n % 3], "stars": (n % 4 % 3) + 0.5}
        for n in range(count)
    ]


def test_a_whole_run(tiny_bert: Path, tmp_path: Path) -> None:
    run = fit(
        rows(160),
        model={"source": str(tiny_bert), "pooling": "mean"},
        text="text",
        target=["topic", "stars"],
        task="multi_task",
        strategy="full",
        out=tmp_path / "run",
        data={"near_duplicates": "ignore"},
        optimization={"learning_rate": 1e-3, "head_learning_rate": 3e-3},
        training={"epochs": 12, "batch_size": 16},
    )
    scores = {(entry["of"], entry["name"]): entry["value"] for entry in run.all_scores()}
    assert scores["fine-tuned", "topic:accuracy"] > 0.9
    assert scores["fine-tuned", "stars:root_mean_squared_error"] < 0.6 * scores["majority", "stars:root_mean_squared_error"]
    assert scores["fine-tuned", "mean_column_score"] > scores["frozen", "mean_column_score"]
    assert run.manifest["certified"]["with"] == ["tunewright", "transformers AutoModelForSequenceClassification"]
    given = run.predict(["this great film 1 1"])[0]["predicted"]
    assert given["topic"] == "film"
    assert given["stars"] == pytest.approx(2.5, abs=0.7)
    assert {one.name for one in run.evaluate(rows(12))} == {name for of, name in scores if of == "frozen"}
    assert run.details["errors"] is not None


def test_what_a_column_holds_is_told_by_its_values() -> None:
    given = prepare(train=rows(60), text="text", target=["topic", "stars"], task="multi_task")
    (_, topic), (_, stars) = given.labels.parts
    assert topic.names == ("card", "film", "order")
    assert stars.mean == pytest.approx(given.train.targets[:, 1].mean())
    assert given.labels.outputs == 4
    with pytest.raises(UserError, match="lack a target"):
        prepare(
            train=[*rows(20), {"text": "a", "topic": "", "stars": 1.5}], text="text", target=["topic", "stars"], task="multi_task"
        )
    with pytest.raises(UserError, match="two or more"):
        prepare(train=rows(20), text="text", target="topic", task="multi_task")
