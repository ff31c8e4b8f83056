"""Recommendation: the published loss, ranks as counted by hand, and a whole run that is saved and lists what fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets.rows import Rows
from tunewright.modalities.interactions import modality as interactions
from tunewright.modalities.interactions.catalogue import learn_catalogue
from tunewright.pipeline.workflow import fit
from tunewright.tasks.recommendation import task as recommendation

LABELS = Labels("recommendation")
TRAIN = [("ann", "tea"), ("ann", "jam"), ("bob", "rye"), ("bob", "tea"), ("cy", "tea"), ("cy", "oil")]
KIND: str = "interactions"


def test_the_loss_is_the_papers_formula() -> None:
    generator = torch.Generator().manual_seed(1)
    pairs = functional.normalize(torch.randn(6, 2, 8, generator=generator), dim=-1)
    targets, shares = torch.tensor([1, 2, 3, 1, 2, 4]), torch.rand(5, generator=generator)
    found = recommendation.losses(pairs, targets, LABELS, recommendation.Settings(temperature=0.2), shares.log())
    for row in range(6):
        corrected = [float(pairs[row, 0] @ pairs[other, 1]) / 0.2 - float(shares[targets[other]].log()) for other in range(6)]
        assert found[row].item() == pytest.approx(-corrected[row] + np.log(np.sum(np.exp(corrected))), rel=1e-5)


def test_corrected_batches_estimate_the_softmax_over_all_items() -> None:
    """Uncorrected ones do not: items that come often are pushed away."""
    generator = torch.Generator().manual_seed(2)
    items = functional.normalize(torch.randn(21, 8, generator=generator), dim=-1)
    user = functional.normalize(torch.randn(8, generator=generator), dim=-1)
    drawn = 1 + torch.multinomial(torch.arange(1.0, 21.0) ** 2, 4000, replacement=True, generator=generator)
    pairs = torch.stack([user.expand(4000, -1), items[drawn]], 1)
    settings = recommendation.Settings()
    chance = (user @ items[1:].T / settings.temperature).softmax(0)

    def error(corrected: bool) -> float:
        chosen = settings.model_copy(update={"corrected": corrected})
        weights = recommendation.class_weights(drawn.numpy(), LABELS, chosen)
        each = (-recommendation.losses(pairs, drawn, LABELS, chosen, weights)).exp()
        return float((torch.zeros(20).index_add(0, drawn - 1, each) - chance).abs().max())

    assert error(corrected=True) < 0.03
    assert error(corrected=False) > 0.1


def test_shares_are_finite_for_items_that_never_came() -> None:
    found = recommendation.class_weights(np.array([1, 1, 1, 3]), LABELS, recommendation.Settings())
    assert found is not None
    assert found.exp().tolist() == pytest.approx([0.1, 0.6, 0.1, 0.2])


def test_ranks_leave_out_what_the_user_took_and_other_right_items() -> None:
    catalogue = learn_catalogue(TRAIN)  # jam 1, oil 2, rye 3, tea 4
    encoded = interactions.encode([("ann", "oil"), ("ann", "rye"), ("bob", "jam"), ("bob", "gin")], catalogue, known=True)
    scores = torch.tensor([[9.0, 8.0, 3.0, 5.0, 7.0]] * 2 + [[9.0, 1.0, 2.0, 7.0, 8.0]] * 2)
    before = scores.clone()
    kept = recommendation.keep(scores, encoded, np.arange(4))
    assert torch.equal(scores, before)
    assert recommendation.decode(kept, LABELS, encoded).values.tolist() == [1, 1, 2, 0]
    asked = interactions.encode([("ann",), ("dan",)], catalogue, known=False)
    listed = recommendation.decode(recommendation.keep(scores[:2], asked, np.arange(2)), LABELS, asked)
    assert listed.values.tolist() == [("rye", "oil"), ("jam", "tea", "rye", "oil")]
    assert recommendation.answer(listed, 0, LABELS)["predicted"] == ["rye", "oil"]


def test_popular_items_are_ranked_the_same_way() -> None:
    numbers = np.arange(len(TRAIN))
    train = Rows(TRAIN, numbers, numbers, "rows", "row", KIND, TRAIN)
    asked = [("ann", "rye"), ("bob", "oil"), ("dan", "tea"), ("dan", "gin"), ("eve", "oil")]
    found = recommendation.from_inputs("popular", asked, train).values.tolist()
    assert found == [1, 2, 1, 0, 4]


def groups(count: int) -> list[dict[str, Any]]:
    """Two groups of users and items; users take from their own group only."""
    generator = np.random.default_rng(0)
    users = generator.integers(0, 20, count)
    items = 2 * generator.integers(0, 10, count) + users % 2
    return [{"user": f"u{user}", "item": f"i{item}", "about": f"thing {item}"} for user, item in zip(users, items, strict=True)]


@pytest.mark.parametrize("words", [False, True], ids=["ids", "texts"])
def test_a_whole_run_lists_items_of_the_users_own_group(tiny_bert: Path, tmp_path: Path, words: bool) -> None:
    about = {"data": {"input": ("user", "item", "about"), "task": "recommendation"}, "model": str(tiny_bert)} if words else {}
    run = fit(
        groups(140),
        out=tmp_path / "run",
        optimization={"learning_rate": 1e-2},
        training={"batch_size": 64, "epochs": 30},
        **about,
    )
    assert run.manifest["certified"]["equal"]
    scores = {(entry["of"], entry["name"]): entry["value"] for entry in run.all_scores()}
    assert scores["fine-tuned", "mean_reciprocal_rank"] > scores["popular", "mean_reciprocal_rank"]
    answers = run.predict(["u0", "u1"])
    for group, one in enumerate(answers):
        assert all(int(item[1:]) % 2 == group for item in one["predicted"][:3])
    assert run.recipe.optimization.learning_rate == 1e-2
    assert (run.recipe.training.early_stopping_patience, run.recipe.training.batch_size) == (4, 64)
    assert run.recipe.optimization.schedule.name == "constant"  # the task's own, where none was named


def test_an_encoder_for_texts_that_are_not_there_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a third input column"):
        fit(groups(60), model=str(tiny_bert), out=tmp_path / "run")
