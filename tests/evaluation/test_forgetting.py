"""Alignment against its definition, references of each kind, and a model that was made to forget."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from tests.engine.toy import toy_rows
from tunewright.analysis.references import Asked, read_reference
from tunewright.analysis.reports.forgetting import _is_certain
from tunewright.analysis.similarity import alignment
from tunewright.core.errors import UserError
from tunewright.core.types import Score
from tunewright.models.states import block_states
from tunewright.pipeline.examine import examine
from tunewright.pipeline.workflow import fit
from tunewright.runs.run import Run


def test_alignment_is_the_formula() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(12, 5)), generator.normal(size=(12, 3))
    second[:, :2] += first[:, :2]
    n, one = 12, np.ones(12)

    def hsic(x: np.ndarray, y: np.ndarray) -> float:
        k, m = x @ x.T, y @ y.T
        np.fill_diagonal(k, 0)
        np.fill_diagonal(m, 0)
        middle = one @ k @ one * (one @ m @ one) / ((n - 1) * (n - 2))
        return float((np.trace(k @ m) + middle - 2 / (n - 2) * one @ k @ m @ one) / (n * (n - 3)))

    expected = hsic(first, second) / np.sqrt(hsic(first, first) * hsic(second, second))
    assert alignment(first, second) == pytest.approx(expected)


def test_alignment_knows_rotations_shifts_and_scales_but_not_noise() -> None:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(50, 20))
    rotation = np.linalg.qr(generator.normal(size=(20, 20)))[0]
    assert alignment(vectors, 3 * vectors @ rotation + 5) == pytest.approx(1)
    others = [alignment(generator.normal(size=(50, 200)), generator.normal(size=(50, 200))) or 0.0 for _ in range(20)]
    assert abs(np.mean(others)) < 0.02  # without the correction it would be near 0.8
    assert alignment(vectors[:3], vectors[:3]) is None
    assert alignment(np.zeros((9, 4)), vectors[:9]) is None


def test_states_leave_padding_out(run: Run) -> None:
    network = run.model.network
    long, short = "the card is lost and it is not new", "the card"
    batch = network.tokenizer([long, short], padding=True, return_tensors="pt")
    alone = network.tokenizer([short], return_tensors="pt")
    with torch.no_grad():
        both, one = (block_states(network.eval(), dict(tokens)) for tokens in (batch, alone))
    assert list(both) == [group.name for group in network.stack.blocks]
    for name in both:
        assert both[name][1].numpy() == pytest.approx(one[name][0].numpy(), abs=1e-5)


def written(path: Path, rows: list[dict[str, str]]) -> str:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


@pytest.fixture(scope="module")
def other_task(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Rows whose first word tells their class, which is not what the run learns."""
    words = enumerate(row["text"] for row in toy_rows(160, seed=7))
    rows = [{"text": f"{text} {'card' if number % 2 else 'sad'}", "label": str(number % 2)} for number, text in words]
    return written(tmp_path_factory.mktemp("references") / "other.csv", rows)


@pytest.fixture(scope="module")
def run(tiny_bert: Path, other_task: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return fit(
        toy_rows(120),
        model=str(tiny_bert),
        target="label",
        out=tmp_path_factory.mktemp("forgetting") / "run",
        strategy="full",
        optimization={"learning_rate": 3e-3, "head_learning_rate": 1e-2},
        training={"epochs": 6},
        evaluation={"certify": False, "resamples": 200, "reports": [{"name": "forgetting", "references": [other_task]}]},
    )


def test_a_run_tells_what_it_lost(run: Run, other_task: str) -> None:
    found = run.reports["forgetting"]
    assert found["error"] is None
    names = [one["name"] for one in found["scores"]]
    assert [name.partition("_")[0] for name in names] == ["before", "after", "forgotten"]
    assert all(name.endswith("/other") for name in names)
    before, after, lost = (one["value"] for one in found["scores"])
    assert lost == pytest.approx(before - after)
    assert all(one["low"] <= one["value"] <= one["high"] and one["n"] == 160 for one in found["scores"])
    curve = [value for _, value in found["charts"][0]["lines"][0][1]]
    assert min(curve) < 0.999  # the blocks did move
    assert "blocks" not in found["said"][0]


def test_a_frozen_network_forgets_nothing(tiny_bert: Path, other_task: str, tmp_path: Path) -> None:
    run = fit(
        toy_rows(60),
        model=str(tiny_bert),
        target="label",
        out=tmp_path / "run",
        strategy="feature-extraction",
        training={"epochs": 1, "precision": "float32"},
        evaluation={"certify": False, "resamples": 100, "reports": [{"name": "forgetting", "references": [other_task]}]},
    )
    found = run.reports["forgetting"]
    assert found["scores"][2]["value"] == 0.0
    assert not found["findings"]
    assert "No block changed" in " ".join(found["said"])


def test_texts_are_asked_of_language_models_alone(run: Run, tmp_path: Path) -> None:
    texts = written(tmp_path / "texts.csv", [{"text": "the card is lost"}, {"text": "it was fine"}])
    assert "this is none" in examine(run, "forgetting", references=[texts])["forgetting"]["error"]
    numbers = written(tmp_path / "numbers.csv", [{"text": f"row {n}", "y": str(n / 3)} for n in range(40)])
    with pytest.raises(UserError, match="rows for regression"):
        read_reference(numbers, 100, 0)


def test_pairs_are_ranked(tmp_path: Path) -> None:
    rows = [{"sentence1": f"the card {n}", "sentence2": "the bank", "score": f"{n / 10:.1f}"} for n in range(30)]
    reference = read_reference(written(tmp_path / "pairs.csv", rows), 20, 0)
    assert reference.ask == "similarity"
    assert len(reference.inputs) == 20
    assert np.ptp(reference.targets) > 0  # type: ignore[arg-type]
    generator = np.random.default_rng(0)
    values = generator.normal(size=(20, 2))
    asked = Asked("similarity", values)
    assert asked.value(np.ones((1, 20), dtype=int))[0] == pytest.approx(spearmanr(*values.T).statistic)


def test_a_loss_of_last_bits_is_none_and_a_small_one_is() -> None:
    def change(low: float) -> Score:
        return Score("forgotten_a", 2 * low, low, 3 * low, 100)

    before = Score("before_a", 20.0, 19.0, 21.0, 100)
    assert not _is_certain(before, change(20 * np.finfo(np.float32).eps))
    assert _is_certain(before, change(20 * 1e-4))
    assert not _is_certain(before, change(-1.0))
