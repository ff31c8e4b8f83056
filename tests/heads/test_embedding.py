"""Embeddings: the published loss, the same gradient of a cut batch, ranks as counted by hand, and others open what is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.datasets.prepare import prepare
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.pipeline.workflow import fit
from tunewright.tasks.embedding import task as embedding

LABELS = Labels("embedding")
FORM = Form("pairs", "AutoModel", "vectors")
COLOURS, THINGS = ("blue", "red", "green"), ("card", "film", "book", "order", "parcel", "bank", "story")


@pytest.fixture
def network(tiny_bert: Path) -> Network:
    return load_network(str(tiny_bert), LABELS, form=FORM)


def vectors(*shape: int) -> torch.Tensor:
    made = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    return functional.normalize(made, dim=-1)


def test_the_loss_is_multiple_negatives_ranking() -> None:
    each = vectors(4, 3, 8)  # anchor, positive, hard negative
    ids = torch.arange(12).view(4, 3)
    settings = embedding.Settings(temperature=0.1)
    ours = embedding.losses(each.view(12, 8), ids, LABELS, settings, None)
    candidates = torch.cat([each[:, 1], each[:, 2]])
    expected = functional.cross_entropy(each[:, 0] @ candidates.T / 0.1, torch.arange(4), reduction="none")
    torch.testing.assert_close(ours, expected)
    both = embedding.losses(each.view(12, 8), ids, LABELS, embedding.Settings(temperature=0.1, symmetric=True), None)
    back = functional.cross_entropy(each[:, 1] @ each[:, 0].T / 0.1, torch.arange(4), reduction="none")
    torch.testing.assert_close(both, (expected + back) / 2)


def test_matryoshka_is_the_mean_over_widths() -> None:
    each, ids = vectors(4, 2, 8), torch.arange(8).view(4, 2)
    found = embedding.losses(each.view(8, 8), ids, LABELS, embedding.Settings(matryoshka=(2, 4)), None)
    parts = [
        embedding.losses(functional.normalize(each[..., :w], dim=-1).reshape(8, w), ids, LABELS, embedding.Settings(), None)
        for w in (2, 4, 8)
    ]
    torch.testing.assert_close(found, torch.stack(parts).mean(0))


def test_what_belongs_together_is_no_negative() -> None:
    each = vectors(3, 2, 8)
    settings = embedding.Settings()
    one = embedding.losses(each[:1].reshape(2, 8), torch.tensor([[0, 1]]), LABELS, settings, None)
    for ids in ([[0, 1], [0, 2], [0, 3]], [[0, 1], [2, 1], [3, 1]], [[0, 0], [0, 0], [0, 0]]):  # same anchor, positive, class
        found = embedding.losses(each.view(6, 8), torch.tensor(ids), LABELS, settings, None)
        torch.testing.assert_close(found, torch.zeros(3), atol=1e-6, rtol=0)
    assert float(one) == pytest.approx(0.0, abs=1e-6)
    alone = torch.tensor([[0, -1], [1, 1], [1, 1]])
    assert embedding.losses(each.view(6, 8), alone, LABELS, settings, None)[0] == 0
    assert embedding.counts(alone, None).tolist() == [0, 1, 1]


def test_partners_are_of_the_class_and_never_the_row_itself(network: Network) -> None:
    classes = np.array([0, 1, 0, 2, 1, 0, 0])
    texts = [(f"{THINGS[row]} {row}",) for row in range(7)]
    examples = embedding.encode(network, texts, classes, embedding.Settings(), 16)
    encoded: Any = examples.encoded
    torch.manual_seed(0)
    drawn = np.stack([encoded._partners(np.arange(7), True) for _ in range(200)])
    assert (classes[drawn] == classes).all()
    assert (drawn != np.arange(7))[:, classes != 2].all()
    assert (drawn[:, 3] == 3).all()  # alone in its class
    assert all(set(drawn[:, row]) == set(np.flatnonzero(classes == classes[row])) - {row} for row in (0, 1, 2, 4, 5, 6))
    assert np.array_equal(encoded._partners(np.arange(7), False), encoded._partners(np.arange(7), False))
    part = encoded.subset(np.array([5, 2, 4]))
    assert part._partners(np.array([0, 1]), True).tolist() == [1, 0]
    assert part.collate(np.arange(3))["input_ids"].shape[0] == 6


def test_ranks_are_those_counted_by_hand() -> None:
    generator = np.random.default_rng(0)
    made = generator.normal(size=(40, 2, 6)).astype(np.float32)
    ids = np.stack([np.arange(40) % 25, 100 + np.arange(40) % 30], 1)  # anchors and positives that repeat
    ids[7, 1] = ids[3, 0]  # a candidate that is another row's anchor
    for row in range(40):  # equal texts have equal vectors
        made[row, 1] = made[int(np.flatnonzero(ids[:, 1] == ids[row, 1])[0]), 1]

    class Encoded:
        by_class = False

    encoded: Any = Encoded()
    encoded.ids = ids
    ranks = embedding.decode(made.reshape(40, -1), LABELS, encoded).values
    for row in range(40):
        scores = {int(ids[other, 1]): float(made[row, 0] @ made[other, 1]) for other in range(40) if ids[other, 1] != ids[row, 0]}
        right = {int(ids[other, 1]) for other in range(40) if ids[other, 0] == ids[row, 0]} & set(scores)
        best = max(scores[name] for name in right)
        assert ranks[row] == 1 + sum(score > best for name, score in scores.items() if name not in right)


def test_a_batch_cut_into_passes_has_the_same_gradient(tiny_bert: Path, tmp_path: Path) -> None:
    from tunewright.core.seed import seed_everything
    from tunewright.pipeline.steps import InMemoryData, apply_method, make_job, prepare_rows, set_up
    from tunewright.pipeline.workflow import make_recipe
    from tunewright.training.optimizer import build_optimizer
    from tunewright.training.stages import open_layers
    from tunewright.training.step import optimizer_step

    found = []
    for tokens in (16_384, 1):
        recipe = make_recipe(
            None,
            method="full",
            model={"source": str(tiny_bert), "dropout": 0.0},
            training={"max_tokens_per_microbatch": tokens, "batch_size": 16, "max_grad_norm": None},
            data={"near_duplicates": "ignore"},
        )
        given = InMemoryData(train=toy(40))
        setup = set_up(recipe, prepare_rows(recipe, given))
        job = make_job(setup, apply_method(setup))
        open_layers(job.network, job.applied.trainable, 0)
        optimizer = build_optimizer(job, 0)
        seed_everything(0)
        out = optimizer_step(job, optimizer, job.windows(0)[0], ())
        found.append((out.loss, {name: p.grad.clone() for name, p in job.network.named_parameters() if p.grad is not None}))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert found[0][1].keys() == found[1][1].keys()
    for name, slope in found[0][1].items():
        torch.testing.assert_close(slope, found[1][1][name], rtol=1e-3, atol=1e-6)


def toy(count: int) -> list[dict[str, Any]]:
    """An anchor and its positive share thing and colour, in other words."""
    rows = []
    for number in range(count):
        colour, thing = COLOURS[number % 3], THINGS[number % 7]
        rows.append({"anchor": f"my {colour} {thing}", "positive": f"where is the {thing} that was {colour} {number % 5}"})
    return rows


def test_texts_of_like_length_pass_together_in_training_and_each_once(tiny_bert: Path) -> None:
    """The same vectors in the same order, from fewer padded tokens."""
    network = load_network(str(tiny_bert), LABELS, form=FORM, dropout=0.0)
    lengths = torch.randint(2, 12, (100,), generator=torch.Generator().manual_seed(0))
    lengths[50] = 60
    mask = (torch.arange(60) < lengths[:, None]).long()
    inputs = {"input_ids": torch.randint(5, 40, mask.shape) * mask, "attention_mask": mask}
    seen: list[int] = []
    network.inner.embeddings.register_forward_hook(lambda *given: seen.append(given[2].shape[:2].numel()))
    apart, together = network.eval()(inputs), network.train()(inputs)
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=0)
    assert seen[0] == mask.numel()
    assert sum(seen[1:]) < 0.3 * mask.numel()
    seen.clear()
    twice = network({name: value.repeat(2, 1) for name, value in inputs.items()})
    torch.testing.assert_close(twice, apart.repeat(2, 1), atol=1e-5, rtol=0)
    assert sum(seen) < 0.3 * mask.numel()


def test_a_whole_run_on_pairs_learns_saves_and_embeds(tiny_bert: Path, tmp_path: Path) -> None:
    run = fit(
        toy(84),
        model=str(tiny_bert),
        strategy="full",
        out=tmp_path / "run",
        head={"name": "embedding", "matryoshka": [8]},
        data={"near_duplicates": "ignore"},
        optimization={"learning_rate": 3e-3, "head_learning_rate": 3e-3},
        training={"epochs": 12, "batch_size": 32},
    )
    scores = {(entry["of"], entry["name"]): entry["value"] for entry in run.all_scores()}
    assert scores["fine-tuned", "mean_reciprocal_rank"] > scores["before", "mean_reciprocal_rank"] + 0.2
    assert "transformers AutoModel" in run.manifest["certified"]["with"]
    found = np.array(
        [row["predicted"] for row in run.predict(["my blue card", "where is the card that was blue 1", "a red film"])]
    )
    assert np.linalg.norm(found, axis=1) == pytest.approx(1.0, rel=1e-5)
    assert found[0] @ found[1] > found[0] @ found[2]
    again = {one.name: one.value for one in run.evaluate(toy(21))}
    assert again["recall_at_10"] > 0.5


def test_texts_with_a_class_are_pairs_of_one_class(tiny_bert: Path, tmp_path: Path) -> None:
    rows = [{"text": f"{COLOURS[n % 3]} {THINGS[n % 7]} {n % 9}", "kind": COLOURS[n % 3]} for n in range(90)]
    run = fit(
        rows,
        model=str(tiny_bert),
        task="embedding",
        target="kind",
        method="lora",
        out=tmp_path / "run",
        data={"near_duplicates": "ignore"},
        optimization={"learning_rate": 1e-2},
        training={"epochs": 4},
    )
    scores = {(entry["of"], entry["name"]): entry["value"] for entry in run.all_scores()}
    assert scores["fine-tuned", "recall_at_1"] > 0.9
    assert run.manifest["certified"]["equal"]
    assert len(run.predict(["blue card"])[0]["predicted"]) == 32


def test_an_embedding_model_starts_a_classifier(tiny_bert: Path, tmp_path: Path) -> None:
    """The two steps of few-shot contrastive classification: vectors first, then a linear probe on them."""
    rows = [{"text": f"{COLOURS[n % 3]} {THINGS[n % 7]} {n % 9}", "kind": COLOURS[n % 3]} for n in range(60)]
    short = {"certify": False, "baselines": ()}
    data = {"near_duplicates": "ignore"}
    first = fit(
        rows,
        method="full",
        model=str(tiny_bert),
        task="embedding",
        target="kind",
        out=tmp_path / "a",
        data=data,
        training={"epochs": 3},
        optimization={"learning_rate": 3e-3},
        evaluation=short,
    )
    second = fit(
        rows,
        model=str(first.folder / "model"),
        target="kind",
        strategy="feature-extraction",
        out=tmp_path / "b",
        data=data,
        evaluation=short,
    )
    assert second.scores[0].value == 1.0
    assert second.manifest["base"]["pooling"] == "mean"


def test_faults_are_told(network: Network) -> None:
    with pytest.raises(UserError, match="no class has two rows"):
        prepare(train=[{"text": f"a {n}", "label": f"l{n}"} for n in range(20)], task="embedding", target="label")
    with pytest.raises(UserError, match=r"rows 1, 3: 'positive' is ''"):
        prepare(train=[{"anchor": f"a {n}", "positive": "" if n in (1, 3) else "b"} for n in range(20)])
    with pytest.raises(UserError, match="widths from 1"):
        embedding.encode(network, [("a", "b")], object_array(["b"]), embedding.Settings(matryoshka=(4, 64)), 16)


def test_sentence_transformers_opens_what_is_saved(network: Network, tmp_path: Path) -> None:
    theirs = pytest.importorskip("sentence_transformers")
    from tunewright.artifacts.sentence_transformers_folder import write_sentence_modules
    from tunewright.models.processors import save_processor

    network.inner.save_pretrained(tmp_path)
    save_processor(network.processor, tmp_path)
    write_sentence_modules(tmp_path, network)
    texts = ["my blue card", "lost"]
    encoded = embedding.encode(network, [(text,) for text in texts], None, embedding.Settings(), 16).encoded
    with torch.no_grad():
        ours = network(encoded.collate(np.arange(2)))
    found = theirs.SentenceTransformer(str(tmp_path), device="cpu").encode(texts, convert_to_tensor=True)
    torch.testing.assert_close(found, ours, rtol=1e-5, atol=1e-6)
