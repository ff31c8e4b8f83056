"""Scores by the cosine of two vectors: the published loss, and a whole run that learns and is saved as an encoder."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.engine.toy import TOPICS
from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.pipeline.workflow import fit
from tunewright.tasks.cosine_similarity import task as cosine

LABELS = Labels("sentence_similarity", mean=2.5, spread=5 / np.sqrt(12))  # of scores spread evenly from 0 to 5


def test_the_loss_is_that_of_cosines_against_scores_between_nought_and_one() -> None:
    vectors = functional.normalize(torch.randn(8, 6, generator=torch.Generator().manual_seed(0)), dim=-1)
    scores = torch.tensor([0.0, 1.5, 4.0, 5.0])
    published = ((vectors[::2] * vectors[1::2]).sum(-1) - scores / 5) ** 2
    found = cosine.losses(vectors, scores, LABELS, cosine.Settings(), None)
    torch.testing.assert_close(found, published * 12)  # in spreads instead of the whole range
    kept = cosine.keep(vectors, None, np.arange(4))  # type: ignore[arg-type]
    read = cosine.decode(kept, LABELS).values
    np.testing.assert_allclose(read, 5 * (vectors[::2] * vectors[1::2]).sum(-1).numpy(), atol=1e-5)


def scored(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Pairs of texts of a few words; those of one topic are alike."""
    generator = random.Random(seed)
    rows = []
    for number in range(count):
        topics = generator.sample(sorted(TOPICS), 2)
        second = topics[0] if number % 2 else topics[1]
        texts = [" ".join(generator.choices(TOPICS[topic], k=4)) + f" {number % 7}" for topic in (topics[0], second)]
        rows.append(
            {
                "sentence1": texts[0],
                "sentence2": texts[1],
                "score": 4.0 + generator.random() if number % 2 else generator.random(),
            }
        )
    return rows


def test_a_whole_run_learns_and_is_saved_as_an_encoder(tiny_bert: Path, tmp_path: Path) -> None:
    run = fit(
        scored(160),
        method="full",
        test=scored(60, seed=1),
        model=str(tiny_bert),
        task="sentence_similarity",
        head={"name": "cosine_similarity"},
        out=tmp_path / "run",
        data={"near_duplicates": "ignore"},
        optimization={"learning_rate": 3e-3},
        training={"epochs": 6, "batch_size": 16},
    )
    scores = {(entry["of"], entry["name"]): entry["value"] for entry in run.all_scores()}
    assert scores["fine-tuned", "spearman"] > max(0.5, scores["before", "spearman"] + 0.1)
    assert run.manifest["certified"]["equal"]
    assert (run.folder / "model" / "1_Pooling").is_dir()
    asked = [{"sentence1": "card money bank", "sentence2": second} for second in ("pay refund price", "sad happy hate")]
    alike, apart = (row["predicted"] for row in run.predict(asked))
    assert alike > apart


def test_other_rows_than_pairs_are_refused(tiny_bert: Path, tmp_path: Path) -> None:
    rows = [{"text": f"row {number}", "score": number / 7} for number in range(40)]
    with pytest.raises(UserError, match="cosine"):
        fit(rows, model=str(tiny_bert), task="regression", head={"name": "cosine_similarity"}, out=tmp_path / "run")
