"""Integrated gradients against captum's and against a linear network, and curves of a model whose reason is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import tunewright
from tests.data.pictures import saved
from tests.engine.toy import TOPICS, toy_rows
from tunewright.analysis.attribution import (
    Parted,
    _follows,
    integrated_gradients,
    outputs_of,
    parted_image,
    parted_text,
    steps_kept,
    whole_words,
)
from tunewright.analysis.reports.attributions import Settings
from tunewright.analysis.reports.attributions import _curves as curves
from tunewright.models.network import Network
from tunewright.models.tiny_images import tiny_image_model
from tunewright.pipeline.examine import examine


def row_of(network: Network, text: str) -> dict[str, torch.Tensor]:
    network.eval()
    return dict(network.tokenizer([text], return_tensors="pt"))


def test_they_are_captums(make: Callable[..., Network]) -> None:
    captum = pytest.importorskip("captum.attr")
    network = make("bert")
    inputs = row_of(network, "my card is lost and late")
    row = parted_text(network, inputs)
    ids = inputs["input_ids"]
    special = torch.isin(ids, torch.tensor(network.tokenizer.all_special_ids))
    blank = torch.where(special, ids, network.tokenizer.mask_token_id)

    def forward(tokens: torch.Tensor) -> torch.Tensor:
        return network({**{name: one.expand(len(tokens), -1) for name, one in inputs.items()}, "input_ids": tokens})

    layer = network.inner.get_input_embeddings()
    reference = captum.LayerIntegratedGradients(forward, layer).attribute(ids, blank, target=1, n_steps=16)
    assert integrated_gradients(row, 1, 16) == pytest.approx(reference.sum(-1)[0][~special[0]].detach().numpy(), abs=1e-5)


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "gpt2"])
def test_they_sum_to_the_difference_of_the_outputs(make: Callable[..., Network], family: str) -> None:
    network = make(family)
    row = parted_text(network, row_of(network, "the bank is late and i want my money"))
    ends = outputs_of(row, np.array([[True], [False]]).repeat(row.many, 1))
    for output in range(3):
        found = integrated_gradients(row, output, 64)
        assert found.sum() == pytest.approx(ends[0, output] - ends[1, output], abs=1e-3)


def test_a_row_with_all_its_parts_is_the_row(make: Callable[..., Network]) -> None:
    network = make("bert")
    inputs = row_of(network, "my card is lost")
    row = parted_text(network, inputs)
    assert row.names == ("my", "card", "is", "lost")
    with torch.no_grad():
        plain = network(inputs).numpy()
    assert outputs_of(row, np.ones((1, 4), dtype=bool)) == pytest.approx(plain, abs=1e-6)
    masked = dict(inputs)
    masked["input_ids"] = inputs["input_ids"].clone()
    masked["input_ids"][0, 2] = network.tokenizer.mask_token_id
    with torch.no_grad():
        without = network(masked).numpy()
    assert outputs_of(row, np.array([[True, False, True, True]])) == pytest.approx(without, abs=1e-6)


def linear(weights: np.ndarray) -> Parted:
    """A network that weighs four parts of two numbers each; -1 stays."""
    table = torch.tensor(weights)
    plain = torch.ones(1, 5, 2, dtype=torch.float64)
    part_of = torch.tensor([0, 1, 2, 3, -1])

    def forward(values: torch.Tensor) -> torch.Tensor:
        score = (values.sum(2)[:, :4] * table).sum(1)
        return torch.stack([score, -score], 1)

    return Parted(plain, torch.zeros_like(plain), part_of, 2, ("a", "b", "c", "d"), forward)


def test_a_linear_network_gives_its_weights_and_the_right_order() -> None:
    weights = np.array([0.1, 2.0, -1.0, 0.5])
    row = linear(weights)
    assert integrated_gradients(row, 0, 2) == pytest.approx(2 * weights)
    made, missed = curves(row, Settings(points=4, orders=20), np.random.default_rng(0))
    assert missed < 1e-6
    score = 2 * np.array([1.6, -0.4, -0.9, -1.0, 0.0])  # without b, d, a, c, one after the other
    assert made[0] == pytest.approx(1 / (1 + np.exp(-2 * score)))
    assert made[0].mean() < made[1].mean()
    assert made[2].mean() > made[3].mean()


def test_parts_leave_and_come_in_order() -> None:
    order = np.array([2, 0, 1])
    gone = steps_kept(order, 3, deleting=True)
    assert gone.astype(int).tolist() == [[1, 1, 1], [1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert (steps_kept(order, 3, deleting=False) == ~gone).all()
    assert steps_kept(np.arange(7), 2, deleting=False).sum(1).tolist() == [0, 4, 7]


def test_patches_cover_a_picture_and_a_blank_one_is_the_mean() -> None:
    class Sum(torch.nn.Module):
        def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
            return inputs["pixel_values"][:, :, :5, :5].sum((1, 2, 3))[:, None]

    row = parted_image(Sum(), {"pixel_values": torch.ones(1, 3, 10, 10)}, 2)  # type: ignore[arg-type]
    assert integrated_gradients(row, 0, 4).tolist() == pytest.approx([75.0, 0.0, 0.0, 0.0])
    assert outputs_of(row, np.eye(4, dtype=bool))[:, 0].tolist() == [75.0, 0.0, 0.0, 0.0]


def test_a_run_that_learnt_words_rests_on_them(tiny_bert: Path, tmp_path: Path) -> None:
    run = tunewright.fit(
        toy_rows(360, longest=4),
        method="full",
        model=str(tiny_bert),
        target="label",
        out=tmp_path / "run",
        training={"epochs": 8},
        optimization={"learning_rate": 2e-3, "head_learning_rate": 1e-2},
        evaluation={"certify": False, "resamples": 100, "reports": []},
    )
    assert run.scores[0].value > 0.7
    found = examine(run, "attributions", rows=20)["attributions"]
    assert found["error"] is None
    scores = {one["name"]: one for one in found["scores"]}
    assert scores["deletion_gain"]["low"] > 0
    assert scores["insertion_gain"]["low"] > 0
    assert scores["unattributed"]["value"] < 0.1
    assert not found["findings"]
    subject_words = {word for words in TOPICS.values() for word in words}
    for row in found["grids"][0]["rows"]:
        assert any(part.split()[0] in subject_words for part in row[4].split(", "))
    page = run.report.read_text(encoding="utf-8")
    for heat, row in zip(found["heats"], found["grids"][0]["rows"], strict=True):
        assert heat["title"] == f"Row {row[0]}: {row[3]}, and right would be {row[2]}"
        strongest = max(heat["parts"], key=lambda part: abs(part[1]))
        side = "for" if strongest[1] > 0 else "against"
        assert f'<span class="{side} h4" title="{strongest[1]:+.3g}">{strongest[0]}<sub>' in page


@pytest.mark.parametrize(
    ("names", "tokens", "words"),
    [
        (("play", "##ing", "chess"), None, (("playing", 3.0), ("chess", 3.0))),
        (("play", "ing", "chess"), ["\u0120play", "ing", "\u0120chess"], (("playing", 3.0), ("chess", 3.0))),
        (("play", "ing", "chess"), ["play", "ing", "\u2581chess"], (("playing", 3.0), ("chess", 3.0))),
        (("p", "l"), ["p", "l"], (("p", 1.0), ("l", 2.0))),
    ],
)
def test_tokens_become_words_again(
    names: tuple[str, ...], tokens: list[str] | None, words: tuple[tuple[str, float], ...]
) -> None:
    row = replace(linear(np.ones(4)), names=names, follows=_follows(tokens or list(names)))
    assert whole_words(row, np.array([1.0, 2.0, 3.0][: len(names)])) == words


def test_a_run_of_pictures_is_examined(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for number in range(60):
        pixels = generator.integers(0, 60, (32, 32, 3)).astype(np.uint8)
        label = "lit" if number % 2 else "dark"
        pixels[:16, :16] += np.uint8(150 * (number % 2))
        path = tmp_path / "set" / label / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(saved(pixels))
    run = tunewright.fit(
        tmp_path / "set",
        method="full",
        model=str(tiny_image_model("resnet", tmp_path / "resnet")),
        out=tmp_path / "run",
        optimization={"learning_rate": 1e-3, "head_learning_rate": 1e-2},
        training={"epochs": 4, "batch_size": 8},
        evaluation={"certify": False, "resamples": 100, "reports": []},
    )
    found = examine(run, "attributions", rows=8, patches=4)["attributions"]
    assert found["error"] is None
    assert len(found["heats"]) == len(found["grids"][0]["rows"])
    assert found["scores"][0]["n"] >= 8
