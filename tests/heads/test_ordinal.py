"""Ordered classes: one question for each step, the published loss, kappa, and a whole run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets.prepare import prepare
from tunewright.pipeline.workflow import fit
from tunewright.tasks.ordinal import task as ordinal

LABELS = Labels("ordinal", ("1", "2", "3", "4"))
WORDS = ("awful", "bad", "good", "great")


def test_each_step_is_one_question() -> None:
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    above = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]])
    expected = functional.binary_cross_entropy_with_logits(logits, above, reduction="none").mean(1)
    torch.testing.assert_close(ordinal.losses(logits, torch.arange(4), LABELS, ordinal.Settings(), None), expected)


def test_the_class_is_the_number_of_steps_passed() -> None:
    logits = np.array([[-1.0, -2, -3], [2, -1, -2], [3, 2, 1], [-1, 3, 3]])  # the last one contradicts itself
    found = ordinal.decode(logits, LABELS)
    assert found.values.tolist() == [0, 1, 3, 0]
    assert found.probabilities is not None
    assert (found.probabilities >= 0).all()
    assert found.probabilities.sum(1) == pytest.approx(np.ones(4))
    assert found.probabilities[1, 1] == pytest.approx(1 / (1 + np.exp(-2)) - 1 / (1 + np.exp(1)))


def test_steps_weigh_by_their_smaller_side() -> None:
    targets = np.array([0] * 1 + [1] * 8 + [2] * 4 + [3] * 3)
    weights = ordinal.class_weights(targets, LABELS, ordinal.Settings(balanced_steps=True))
    assert weights is not None
    torch.testing.assert_close(weights, torch.tensor([1.0, 7**0.5, 3**0.5]) / 7**0.5)
    assert ordinal.prior_bias(targets, LABELS).sigmoid().numpy() == pytest.approx([16 / 18, 8 / 18, 4 / 18])


def rows(count: int) -> list[dict[str, str]]:
    return [{"text": f"this {WORDS[n % 4]} card {n % 7} and book {n % 5}", "stars": str(n % 4 + 1)} for n in range(count)]


def test_a_whole_run(tiny_bert: Path, tmp_path: Path) -> None:
    run = fit(
        rows(120),
        model=str(tiny_bert),
        task="ordinal",
        target="stars",
        strategy="full",
        out=tmp_path / "run",
        data={"near_duplicates": "ignore"},
        optimization={"learning_rate": 3e-3, "head_learning_rate": 1e-2},
        training={"epochs": 25, "batch_size": 8},
    )
    scores = {(entry["of"], entry["name"]): entry["value"] for entry in run.all_scores()}
    assert (scores["fine-tuned", "quadratic_weighted_kappa"] or 0) > 0.9
    assert {of for of, _ in scores} == {"fine-tuned", "frozen", "majority"}
    assert run.manifest["certified"]["with"] == ["tunewright", "transformers AutoModelForSequenceClassification"]
    found = run.predict(["this great card 1 and book 1", "this awful card 1 and book 1"])
    assert [row["predicted"] for row in found] == ["4", "1"]
    assert list(found[0]["probabilities"]) == ["1", "2", "3", "4"]
    assert run.details["confusion"]["names"] == ["1", "2", "3", "4"]
    assert len(run.details["per_class"]) == 4


def test_grades_are_ordered_by_size_and_words_are_refused() -> None:
    given = prepare(train=[{"text": f"a card {n}", "g": n % 12} for n in range(60)], task="ordinal", target="g")
    assert given.labels.names == tuple(map(str, range(12)))
    assert given.labels.outputs == 11
    assert given.test.targets.dtype == np.int64
    with pytest.raises(UserError, match=r"the grade 'bad' is not a number"):
        prepare(train=[{"text": f"a card {n}", "g": ("bad", "good")[n % 2]} for n in range(20)], task="ordinal", target="g")
