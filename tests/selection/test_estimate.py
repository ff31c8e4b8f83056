"""The estimate: leaves nothing behind, grows with the work, and counts what a batch keeps for its gradient."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engine.toy import toy_job, toy_recipe, toy_rows
from tunewright.config.recipe import Distillation
from tunewright.training import estimate as module
from tunewright.training.context import TrainingContext
from tunewright.training.distillation import Teacher
from tunewright.training.estimate import estimate


def opened(tiny_bert: Path, **sections: object) -> TrainingContext:
    return toy_job(toy_recipe(tiny_bert, **sections))


def test_nothing_is_left_behind(tiny_bert: Path) -> None:
    job = opened(tiny_bert, model={"dropout": 0.3})
    before = {name: tensor.clone() for name, tensor in job.network.state_dict().items()}
    state = torch.get_rng_state()
    estimate(job)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], tensor) for name, tensor in job.network.state_dict().items())
    assert all(parameter.grad is None for parameter in job.network.parameters())


def test_more_epochs_take_longer_and_a_budget_bounds_them(tiny_bert: Path) -> None:
    job = opened(tiny_bert)
    recipe = job.recipe
    longer = replace(job, recipe=recipe.model_copy(update={"training": recipe.training.model_copy(update={"epochs": 200})}))
    budget = recipe.training.model_copy(update={"epochs": 200, "budget_seconds": 0.01})
    assert estimate(longer).seconds > 5 * estimate(job).seconds
    assert estimate(replace(job, recipe=recipe.model_copy(update={"training": budget}))).seconds == 0.01


def test_frozen_layers_are_counted_once(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With block runs in place of seconds: 200 epochs of the top layer cost a third of what they cost the whole way."""

    def block_runs(job: TrainingContext) -> float:
        runs: list[str] = []
        for block in job.network.stack.blocks:
            attention = job.network.get_submodule(block.modules[0]).attention
            attention.register_forward_hook(lambda *_, name=block.name: runs.append(name))

        def cost(run: Callable[[], object]) -> float:
            run()  # computes what is kept
            runs.clear()
            run()
            return float(len(runs))

        monkeypatch.setattr(module, "_best_seconds", cost)
        return estimate(job).seconds

    method = {"name": "last_layers", "k": 1}
    kept = block_runs(opened(tiny_bert, method=method, training={"epochs": 200}))
    whole = block_runs(opened(tiny_bert, method=method, training={"epochs": 200, "cache": False}))
    assert kept == pytest.approx(whole / 3, rel=0.05)


def test_a_teacher_that_runs_beside_the_student_is_counted(tiny_bert: Path) -> None:
    job = opened(tiny_bert)
    runs: list[int] = []
    network = opened(tiny_bert).network
    network.register_forward_hook(lambda *_: runs.append(1))
    beside = Teacher(None, job.network.labels, Distillation(teacher="x"), job.head, network=network)
    estimate(replace(job, teacher=beside))
    assert len(runs) == 2  # both timed passes asked it
    said = Teacher(np.zeros((len(job.train), 3), np.float32), job.network.labels, Distillation(teacher="x"), job.head)
    estimate(replace(job, teacher=said))
    assert len(runs) == 2


def test_an_update_is_timed_by_what_moves(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = opened(tiny_bert)
    monkeypatch.setattr(module, "_best_seconds", lambda run: 0.0)
    monkeypatch.setattr(module, "_update_seconds_per_value", lambda job, most: 2.0)
    moving = sum(parameter.numel() for parameter in job.network.parameters())
    assert estimate(job).seconds == 2.0 * moving * job.total_steps


def test_more_trained_weights_take_more_memory(tiny_bert: Path) -> None:
    head, whole = estimate(opened(tiny_bert, method="frozen")), estimate(opened(tiny_bert, method="full"))
    assert whole.bytes > head.bytes > 0


def test_nothing_stays_in_memory_after_a_run(tiny_bert: Path, tmp_path: Path) -> None:
    """Tensors that only a graph holds are seen by no collector but torch's own count."""
    from tunewright.pipeline.workflow import fit

    def alive() -> int:
        gc.collect()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return sum(isinstance(item, torch.Tensor) for item in gc.get_objects())

    quick = {"training": {"max_steps": 2, "batch_size": 8}, "evaluation": {"baselines": (), "certify": False}}
    counts = []
    for number in range(3):
        fit(toy_rows(48), model=str(tiny_bert), target="label", strategy="full", out=tmp_path / str(number), **quick)
        counts.append(alive())
    assert counts[1] == counts[2]
