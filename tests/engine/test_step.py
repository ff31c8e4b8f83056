"""One optimizer step: the cut of the window, weights, what must not become a number, what must not move."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engine.toy import toy_job, toy_recipe, toy_rows
from tests.listener import Listener
from tunewright.core.errors import UserError
from tunewright.training.optimizer import build_optimizer
from tunewright.training.stages import open_layers
from tunewright.training.step import Diverged, optimizer_step
from tunewright.training.trainer import train


def gradients(tiny_bert: Path, windows: list[list[np.ndarray]], **sections: object) -> tuple[dict[str, torch.Tensor], float]:
    recipe = toy_recipe(tiny_bert, model={"dropout": 0.0}, **sections)
    job = toy_job(recipe)
    open_layers(job.network, job.applied.trainable, 0)
    optimizer = build_optimizer(job, 0)
    out = optimizer_step(job, optimizer, windows[0], ())
    return {name: parameter.grad.clone() for name, parameter in job.network.named_parameters()}, out.loss


@pytest.mark.parametrize("head", [{}, {"name": "classification", "class_weights": "balanced"}], ids=["plain", "weighted"])
def test_accumulation_gives_the_gradient_of_the_whole_window(tiny_bert: Path, head: dict) -> None:
    rows = np.arange(8)
    sections = {"training": {"max_grad_norm": None}} | ({"head": head} if head else {})
    whole, loss = gradients(tiny_bert, [[rows]], **sections)
    cut, cut_loss = gradients(tiny_bert, [[rows[:3], rows[3:4], rows[4:]]], **sections)
    assert cut_loss == pytest.approx(loss, rel=1e-5)
    for name in whole:
        torch.testing.assert_close(cut[name], whole[name], rtol=1e-4, atol=1e-6, msg=name)


def test_a_mean_of_means_would_be_caught(tiny_bert: Path) -> None:
    """Negative control: averaging unequal batches' means gives another gradient."""
    rows = np.arange(8)
    whole, _ = gradients(tiny_bert, [[rows]], training={"max_grad_norm": None})
    first, _ = gradients(tiny_bert, [[rows[:1]]], training={"max_grad_norm": None})
    rest, _ = gradients(tiny_bert, [[rows[1:]]], training={"max_grad_norm": None})
    name = "classifier.weight" if "classifier.weight" in whole else "inner.classifier.weight"
    assert not torch.allclose((first[name] + rest[name]) / 2, whole[name], rtol=1e-3)


def test_the_last_window_is_partial_and_counted(tiny_bert: Path) -> None:
    job = toy_job(toy_recipe(tiny_bert, training={"batch_size": 8, "gradient_accumulation_steps": 2, "epochs": 1}))
    windows = job.windows(0)
    rows = np.concatenate([part for window in windows for part in window])
    assert sorted(rows) == list(range(len(job.train)))
    assert len(windows) == job.steps_per_epoch == -(-len(job.train) // 16)
    assert len(windows[-1]) < 2 or len(windows[-1][-1]) < 8


def test_class_weights_change_the_loss_by_the_closed_form(tiny_bert: Path) -> None:
    job = toy_job(toy_recipe(tiny_bert, head={"name": "classification", "class_weights": (1.0, 2.0, 4.0)}))
    logits, targets = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    ours = job.head.losses(logits, targets, job.network.labels, job.head_settings, job.weights).sum()
    ours = ours / job.head.counts(targets, job.weights).sum()
    wanted = torch.nn.functional.cross_entropy(logits, targets, weight=torch.tensor([1.0, 2.0, 4.0]))
    torch.testing.assert_close(ours, wanted)


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_before_the_update(tiny_bert: Path, poison: float) -> None:
    job = toy_job(toy_recipe(tiny_bert))
    open_layers(job.network, job.applied.trainable, 0)
    optimizer = build_optimizer(job, 0)
    with torch.no_grad():
        job.network.last_linear.bias.fill_(poison)
    before = {name: parameter.clone() for name, parameter in job.network.named_parameters()}
    with pytest.raises(Diverged, match=r"nan|inf"):
        optimizer_step(job, optimizer, job.windows(0)[0], ())
    for name, parameter in job.network.named_parameters():
        torch.testing.assert_close(parameter, before[name], rtol=0, atol=0, equal_nan=True)


def test_a_gradient_that_is_no_number_stops_before_the_update(tiny_bert: Path) -> None:
    job = toy_job(toy_recipe(tiny_bert))
    open_layers(job.network, job.applied.trainable, 0)
    optimizer = build_optimizer(job, 0)
    job.network.last_linear.weight.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(Diverged):
        optimizer_step(job, optimizer, job.windows(0)[0], ())


def test_divergence_ends_the_run_and_the_log_tells_the_truth(tiny_bert: Path) -> None:
    events: list[dict] = []
    job = toy_job(toy_recipe(tiny_bert), callbacks=(Listener(events.append),))
    steps = iter(range(10**6))
    job.network.last_linear.weight.register_hook(lambda gradient: gradient * float("nan") if next(steps) == 3 else gradient)
    with pytest.raises(UserError, match=r"diverged at step 4.*optimization\.learning_rate"):
        train(job)
    assert [event["step"] for event in events if event["kind"] == "step"] == [1, 2, 3]
    assert events[-1] == {"kind": "train_end", "reason": "diverged"}


def test_overfits_eight_rows(tiny_bert: Path) -> None:
    from tunewright.training.predict import predict_logits

    rows = [{**row, "label": "ab"[number % 3 == 0]} for number, row in enumerate(toy_rows(12))]
    recipe = toy_recipe(
        tiny_bert,
        model={"dropout": 0.0},
        optimization={"learning_rate": 3e-3, "weight_decay": 0.0},
        training={"epochs": 80, "batch_size": 8},
        evaluation={"monitor": "loss"},
    )
    job = toy_job(recipe, rows)
    job = replace(
        job, validation=job.train, wanted=job.train.targets
    )  # what is measured here is whether training can fit, not whether it generalizes
    train(job)
    assert len(job.train) == 8
    assert (predict_logits(job.network, job.train).argmax(1) == job.train.targets).all()
