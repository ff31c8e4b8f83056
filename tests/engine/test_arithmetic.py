"""What a run computes with: as asked, or measured; and bfloat16 learns what float32 learns."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.engine.toy import toy_job, toy_recipe, toy_rows, toy_setup
from tunewright.training import precision as module
from tunewright.training.precision import choose_arithmetic
from tunewright.training.trainer import train


@pytest.fixture
def setup(tiny_bert: Path):  # type: ignore[no-untyped-def]
    return toy_setup(toy_recipe(tiny_bert))


def test_what_is_asked_for_is_not_measured(setup, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(module, "_SMALL", 0.0)
    chosen = choose_arithmetic(setup.network, setup.examples["train"], "bfloat16", 1)
    assert (chosen.precision, chosen.threads, chosen.measured) == ("bfloat16", 1, ())


def test_a_small_network_is_left_in_float32(setup) -> None:  # type: ignore[no-untyped-def]
    chosen = choose_arithmetic(setup.network, setup.examples["train"], "auto", None)
    assert (chosen.precision, chosen.measured) == ("float32", ())


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({("float32", 1): 1.0, ("bfloat16", 1): 0.5}, ("bfloat16", 1)),
        ({("float32", 1): 1.0, ("bfloat16", 1): 0.95}, ("float32", 1)),  # not worth the rounding
        (
            {("float32", 1): 1.0, ("float32", 2): 3.0, ("bfloat16", 1): 1.1, ("bfloat16", 2): 2.0},
            ("float32", 1),
        ),  # threads that spin
        ({("float32", 1): 1.0, ("float32", 2): 0.6, ("bfloat16", 1): 0.5, ("bfloat16", 2): 0.3}, ("bfloat16", 2)),
    ],
)
def test_the_plainest_way_that_is_nearly_the_fastest_is_taken(setup, monkeypatch, seconds, expected) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(module, "_SMALL", 0.0)
    monkeypatch.setattr(module, "_measure", lambda *_: seconds)
    chosen = choose_arithmetic(setup.network, setup.examples["train"], "auto", None)
    assert (chosen.precision, chosen.threads) == expected
    assert f"{1e3 * seconds[expected]:.0f} ms" in chosen.why


def test_measuring_tries_what_is_left_open_and_puts_threads_back(setup, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(module, "_SMALL", 0.0)
    before, states = torch.get_num_threads(), torch.get_rng_state()
    chosen = choose_arithmetic(setup.network, setup.examples["train"], "auto", 1)
    assert {(name, count) for name, count, _ in chosen.measured} == {("float32", 1), ("bfloat16", 1)}
    assert torch.get_num_threads() == before
    assert torch.equal(states, torch.get_rng_state())


def test_outputs_that_bfloat16_breaks_keep_float32(setup, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(module, "_SMALL", 0.0)
    monkeypatch.setattr(module, "_AGREEMENT", 0.0)
    chosen = choose_arithmetic(setup.network, setup.examples["train"], "auto", 1)
    assert chosen.precision == "float32"
    assert "does not agree" in chosen.why


def test_bfloat16_learns_what_float32_learns(tiny_bert: Path) -> None:
    best = {}
    for precision in ("float32", "bfloat16"):
        settings = {"training": {"epochs": 12, "precision": precision}, "evaluation": {"monitor": "loss"}}
        best[precision] = train(toy_job(toy_recipe(tiny_bert, **settings), toy_rows(96))).best_value
    assert best["bfloat16"] == pytest.approx(best["float32"], abs=0.1)
    assert best["bfloat16"] < 0.8 * 1.0986  # it has learnt something
