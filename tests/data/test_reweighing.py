"""Reweighing: Kamiran and Calders's weights, and a loop that uses them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engine.toy import toy_recipe, toy_rows
from tunewright.core.errors import UserError
from tunewright.datasets.group_reweighting import reweighed, row_weights
from tunewright.datasets.prepare import prepare
from tunewright.pipeline.steps import InMemoryData, apply_method, make_job, prepare_rows, set_up
from tunewright.training.context import TrainingContext
from tunewright.training.optimizer import build_optimizer
from tunewright.training.stages import open_layers
from tunewright.training.step import optimizer_step

# Kamiran and Calders 2012, table 1 and section 4.2: sex and class of ten applicants, and the weights they give.
SEX = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0])
GRANTED = np.array([1, 1, 1, 0, 1, 0, 0, 0, 1, 1])


def test_the_weights_are_those_of_the_paper() -> None:
    weights = reweighed(SEX, GRANTED)
    expected = {(0, 1): 1.5, (0, 0): 0.67, (1, 1): 0.75, (1, 0): 2.0}
    for sex, granted, weight in zip(SEX, GRANTED, weights, strict=True):
        assert weight == pytest.approx(expected[sex, granted], abs=0.005)


def test_under_the_weights_groups_have_a_class_alike() -> None:
    generator = np.random.default_rng(0)
    places = generator.integers(0, 3, 500)
    targets = (generator.random(500) < 0.2 + 0.2 * places).astype(int)
    weights = reweighed(places, targets)
    shares = [np.average(targets[places == at], weights=weights[places == at]) for at in range(3)]
    assert shares == pytest.approx([targets.mean()] * 3, abs=1e-5)
    assert weights.mean() == pytest.approx(1.0, abs=1e-5)


def job_of(base: Path, rows: list[dict[str, str]], column: str | None) -> TrainingContext:
    recipe = toy_recipe(base, data={"group_reweighting": column, "text": "text"}, model={"dropout": 0.0})
    setup = set_up(recipe, prepare_rows(recipe, InMemoryData(rows)))
    return make_job(setup, apply_method(setup))


def test_a_step_is_that_of_the_weighted_mean(tiny_bert: Path) -> None:
    rows = [row | {"side": "left" if place % 4 else "right"} for place, row in enumerate(toy_rows(48))]
    job = job_of(tiny_bert, rows, "side")
    assert job.row_weights is not None
    assert len(job.row_weights) == len(job.train)
    open_layers(job.network, job.applied.trainable, 0)
    chosen = np.arange(8)
    targets = torch.from_numpy(job.train.targets[chosen])  # type: ignore[index]
    losses = torch.nn.functional.cross_entropy(job.forward(job.train, chosen), targets, reduction="none")
    losses, weights = losses.detach(), job.row_weights[:8]
    expected = float((losses * weights).sum() / weights.sum())
    out = optimizer_step(job, build_optimizer(job, 0), [chosen], ())
    assert out.loss == pytest.approx(expected, rel=1e-5)
    assert out.count == pytest.approx(float(weights.sum()), rel=1e-5)
    assert out.loss != pytest.approx(float(losses.mean()), rel=1e-5)


def test_what_has_no_class_is_refused() -> None:
    rows = [{"text": f"number {number} of them all", "side": "xy"[number % 2], "value": number / 7} for number in range(40)]
    prepared = prepare(train=rows, target="value", text="text")
    with pytest.raises(UserError, match="the task is regression"):
        row_weights(prepared, "side")
    classes = prepare(train=[{**row, "value": "ab"[place % 2]} for place, row in enumerate(rows)], target="value", text="text")
    with pytest.raises(UserError, match="sides"):
        row_weights(classes, "sides")
    assert len(row_weights(classes, "side")) == len(classes.train)
