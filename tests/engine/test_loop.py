"""Whole runs of the loop: what stays frozen, what is kept, what repeats, what continues."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.toy import toy_job, toy_recipe, toy_rows
from tests.listener import Listener
from tunewright.core.types import TrainerControl
from tunewright.models.tiny import FAMILIES, tiny_model
from tunewright.training.checkpoint import Checkpoints
from tunewright.training.checkpoint_folder import folders, step_of, verify
from tunewright.training.interrupts import Interrupted
from tunewright.training.predict import predict_features, predict_logits
from tunewright.training.stages import open_layers
from tunewright.training.trainer import train


def snapshot(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("layers", [1, 2])
def test_below_the_cut_nothing_moves_not_even_buffers(tiny_bert: Path, layers: int) -> None:
    job = toy_job(toy_recipe(tiny_bert, method={"name": "last_layers", "k": layers}))
    before = snapshot(job.network)
    train(job)
    after, moving = snapshot(job.network), {*job.applied.trainable, *job.network.head_names}
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed <= moving
    assert changed & set(job.applied.trainable)
    cut = min(job.network.stack.depth_of(name) for name in job.applied.trainable)
    below = {name for group in job.network.stack.groups[:cut] for name in (*group.parameters, *group.buffers)}
    assert below
    assert not below & changed


def test_frozen_weights_are_in_no_optimizer(tiny_bert: Path) -> None:
    from tunewright.training.optimizer import build_optimizer

    job = toy_job(toy_recipe(tiny_bert, method={"name": "last_layers", "k": 1}))
    optimizer = build_optimizer(job, 0)
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    names = {name for name, parameter in job.network.named_parameters() if id(parameter) in held}
    assert names == {*job.applied.trainable, *job.network.head_names}


def test_dropout_is_off_below_the_cut_and_on_above(tiny_bert: Path) -> None:
    job = toy_job(toy_recipe(tiny_bert, model={"dropout": 0.5}, method={"name": "last_layers", "k": 1}))
    cut = open_layers(job.network, job.applied.trainable, 0)
    modules = dict(job.network.named_modules())
    for group in job.network.stack.groups[:-1]:
        dropouts = [
            module for name in group.modules for module in modules[name].modules() if isinstance(module, torch.nn.Dropout)
        ]
        assert all(module.training == (group.depth >= cut) for module in dropouts)
    lowest = [block for block in job.network.stack.blocks if block.depth < cut][-1]
    seen: list[torch.Tensor] = []
    hook = modules[lowest.modules[0]].register_forward_hook(
        lambda _, __, output: seen.append(output[0] if isinstance(output, tuple) else output)
    )
    from tunewright.datasets.encoded import batch

    inputs = batch(job.train, np.arange(4), job.network.reads, job.network.device)
    outputs = [job.network(inputs), job.network(inputs)]
    hook.remove()
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(outputs[0], outputs[1])  # negative control: above the cut dropout is at work


def test_evaluation_leaves_every_mode_as_it_was(tiny_bert: Path) -> None:
    job = toy_job(toy_recipe(tiny_bert, method={"name": "last_layers", "k": 1}))
    open_layers(job.network, job.applied.trainable, 0)
    before = [module.training for module in job.network.modules()]
    assert True in before
    assert False in before
    predict_logits(job.network, job.validation)
    predict_features(job.network, job.validation)
    assert [module.training for module in job.network.modules()] == before


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_predictions_do_not_depend_on_the_batch(tiny_bert: Path, size: int) -> None:
    job = toy_job(toy_recipe(tiny_bert))
    np.testing.assert_allclose(
        predict_logits(job.network, job.train, tokens=size), predict_logits(job.network, job.train), rtol=1e-4, atol=1e-5
    )


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tiny_bert: Path) -> None:
    ends = []
    for seed in (0, 0, 1):
        job = toy_job(toy_recipe(tiny_bert, seed=seed))
        train(job)
        ends.append(snapshot(job.network))
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert not all(torch.equal(ends[0][name], ends[2][name]) for name in ends[0])


def test_the_best_evaluation_is_what_the_network_holds(tiny_bert: Path) -> None:
    """Rates far too high after the first epochs: the end is not the best, and the best is kept exactly."""
    from tunewright.training.evaluate import validation_scores

    events: list[dict[str, Any]] = []
    recipe = toy_recipe(
        tiny_bert,
        optimization={"learning_rate": 0.05, "head_learning_rate": 0.05},
        training={"epochs": 8, "batch_size": 4},
        evaluation={"monitor": "log_loss"},
    )
    job = toy_job(recipe, callbacks=(Listener(events.append),))
    trained = train(job)
    losses = {event["step"]: event["scores"]["log_loss"] for event in events if event["kind"] == "evaluation"}
    assert trained.best_value == min(losses.values())  # the direction of the metric is respected
    assert trained.best_step == min(losses, key=lambda step: losses[step])
    assert trained.best_step < trained.steps
    assert validation_scores(job)["log_loss"] == trained.best_value


@pytest.mark.parametrize(("most", "epochs"), [(None, 8), (1000, 8), (200, 6), (100, 3), (10, 3)])
def test_many_rows_are_read_in_fewer_epochs(tiny_bert: Path, most: int | None, epochs: int) -> None:
    """Never fewer than three epochs."""
    job = toy_job(toy_recipe(tiny_bert, training={"epochs": 8, "max_train_examples_seen": most}))
    assert len(job.train) == 34
    assert (job.epochs, job.total_steps) == (epochs, epochs * job.steps_per_epoch)


def test_a_watcher_can_stop_the_run(tiny_bert: Path) -> None:
    def stop(event: dict[str, Any]) -> TrainerControl | None:
        return TrainerControl(stop=True, reason="enough") if event["kind"] == "evaluation" else None

    job = toy_job(toy_recipe(tiny_bert, training={"epochs": 5}), callbacks=(Listener(stop),))
    trained = train(job)
    assert trained.reason == "enough"
    assert trained.steps == job.steps_per_epoch


def test_gradual_unfreezing_opens_layers_from_the_top(tiny_bert: Path) -> None:
    events: list[dict[str, Any]] = []
    job = toy_job(
        toy_recipe(tiny_bert, unfreezing="gradual", training={"epochs": 6}),
        callbacks=(Listener(events.append),),
    )
    train(job)
    opened = [event["open_from"] for event in events if event["kind"] == "stage"]
    assert opened == sorted(opened, reverse=True)
    assert opened[0] > opened[-1] == 0
    rates = [set(event["rate"]) for event in events if event["kind"] == "step"]
    assert len(rates[0]) < len(rates[-1])


CONTINUED = {
    "full": {},
    "lora with dropout": {"method": {"name": "lora", "dropout": 0.3}},
    "gradual": {"unfreezing": "gradual", "training": {"epochs": 5}},
    "from kept states": {"method": {"name": "last_layers", "k": 1}, "training": {"epochs": 4}},
    "accumulated": {"training": {"gradient_accumulation_steps": 2, "batch_size": 4, "epochs": 3}},
    "averaged": {"averaging": ("ema",)},
    "one-cycle": {"optimization": {"schedule": {"name": "one_cycle"}}},
}


@pytest.mark.parametrize("name", CONTINUED)
def test_an_interrupted_run_continues_to_the_same_weights(tiny_bert: Path, tmp_path: Path, name: str) -> None:
    import os
    import signal

    recipe = toy_recipe(tiny_bert, model={"dropout": 0.2}, **CONTINUED[name])
    whole = toy_job(recipe)
    train(whole)

    def interrupt(event: dict[str, Any]) -> None:
        if event["kind"] == "step" and event["step"] == 7:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        train(toy_job(recipe, callbacks=(Listener(interrupt),), checkpoints=Checkpoints(tmp_path)))
    events: list[dict[str, Any]] = []
    continued = toy_job(recipe, callbacks=(Listener(events.append),), checkpoints=Checkpoints(tmp_path))
    train(continued, resume=True)
    assert next(event["step"] for event in events if event["kind"] == "step") == 8
    first, second = snapshot(whole.network), snapshot(continued.network)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_best_and_last_are_on_disk_after_every_evaluation(tiny_bert: Path, tmp_path: Path) -> None:
    """The last two checkpoints and the best of each are whole, and nothing else is there."""
    seen: list[tuple[int, int | None]] = []

    def look(event: dict[str, Any]) -> None:
        if event["kind"] != "step" or not folders(tmp_path):
            return
        there = {step_of(place): verify(place) for place in folders(tmp_path)}
        end = (event["step"] - 1) // 5 * 5  # five steps make an epoch
        last = [step for step in (end, end - 5) if step > 0]
        assert {*last, *(there[step]["best_step"] for step in last)} == set(there)
        found = Checkpoints(tmp_path).newest()
        assert found.best is not None
        assert found.checkpoint.state["step"] == max(there)
        seen.append((max(there), found.checkpoint.state["best_step"]))

    recipe = toy_recipe(tiny_bert, optimization={"learning_rate": 0.02}, training={"epochs": 6})
    train(toy_job(recipe, callbacks=(Listener(look),), checkpoints=Checkpoints(tmp_path)))
    assert len(set(seen)) >= 4
    assert any(last != best for last, best in seen)


def test_labels_that_mean_nothing_are_not_learnt(tiny_bert: Path) -> None:
    """Control of the whole family: with shuffled labels validation stays near chance."""
    import random

    rows = toy_rows(120)
    labels = [row["label"] for row in rows]
    random.Random(1).shuffle(labels)
    shuffled = [row | {"label": label} for row, label in zip(rows, labels, strict=True)]
    settings = {"training": {"epochs": 12}, "data": {"validation_size": 0.3}, "evaluation": {"monitor": "loss"}}
    meaningless = train(toy_job(toy_recipe(tiny_bert, **settings), shuffled))
    told = train(toy_job(toy_recipe(tiny_bert, **settings), rows))
    assert told.best_value < 0.9 * meaningless.best_value
    assert meaningless.best_value > 0.9 * np.log(3)


def test_while_only_the_head_trains_no_row_passes_the_network_twice(tiny_bert: Path) -> None:
    stored = toy_job(toy_recipe(tiny_bert, method="frozen", model={"pooling": "mean"}, training={"epochs": 3}))
    losses: list[float] = []
    stored = replace(
        stored, callbacks=(Listener(lambda event: losses.append(event["loss"]) if event["kind"] == "step" else None),)
    )
    train(stored)
    assert stored.forward.passes == 0

    whole = toy_job(toy_recipe(tiny_bert, method="frozen", model={"pooling": "mean"}, training={"epochs": 3}))
    plain: list[float] = []
    whole = replace(whole, callbacks=(Listener(lambda event: plain.append(event["loss"]) if event["kind"] == "step" else None),))
    whole.forward.cut_at = lambda depth: None  # type: ignore[method-assign] # defence off: every row goes all the way
    train(whole)
    assert whole.forward.passes == 3 * len(whole.train)
    np.testing.assert_allclose(losses, plain, rtol=1e-5)  # features from other batch shapes differ in the last bits


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_holds_still_below_the_cut(family: str, tmp_path: Path) -> None:
    """Frozen at the last block: weights and buffers below it bit-equal after training, and no dropout there."""
    job = toy_job(
        toy_recipe(
            tiny_model(family, tmp_path / family, layers=2),
            model={"pooling": "native", "dropout": 0.4},
            method={"name": "last_layers", "k": 1},
            training={"epochs": 1, "max_steps": 3},
        )
    )
    before = snapshot(job.network)
    train(job)
    after = snapshot(job.network)
    cut = open_layers(job.network, job.applied.trainable, 0)
    below = [name for group in job.network.stack.groups[:cut] for name in (*group.parameters, *group.buffers) if name in before]
    above = [name for group in job.network.stack.groups[cut:] for name in group.parameters]
    assert all(torch.equal(before[name], after[name]) for name in below)
    assert any(not torch.equal(before[name], after[name]) for name in above)
    modules = dict(job.network.named_modules())
    still = {module for group in job.network.stack.groups[:cut] for name in group.modules for module in modules[name].modules()}
    assert not any(module.training for module in still)
    assert any(module.training for module in job.network.modules())


def test_predictions_do_not_depend_on_the_order_of_the_rows(tiny_bert: Path) -> None:
    from tunewright.tasks.classification.task import encode

    job = toy_job(toy_recipe(tiny_bert))
    texts = [(row["text"],) for row in toy_rows(30)]
    order = np.random.default_rng(0).permutation(30)
    straight = predict_logits(job.network, encode(job.network, texts, None, None, 64))
    shuffled = predict_logits(job.network, encode(job.network, [texts[place] for place in order], None, None, 64))
    np.testing.assert_allclose(shuffled, straight[order], rtol=1e-4, atol=1e-5)


def test_a_thousand_tiny_updates_move_an_adapter(tiny_bert: Path) -> None:
    """Adapters are float32: in bfloat16 a step of one part in a thousand would be rounded away."""
    job = toy_job(toy_recipe(tiny_bert, method="lora"))
    name = next(name for name in job.applied.trainable if name.endswith("lora_A"))
    weight = dict(job.network.named_parameters())[name]
    with torch.no_grad():
        weight.fill_(1.0)
        for _ in range(1000):
            weight.add_(1e-4)
    assert weight.dtype == torch.float32
    assert float(weight.detach().mean()) == pytest.approx(1.1, rel=1e-3)
    rounded = torch.ones(1, dtype=torch.bfloat16)
    for _ in range(1000):
        rounded.add_(1e-4)
    assert float(rounded) == 1.0  # negative control


def test_of_equal_scores_the_lower_loss_is_best(tiny_bert: Path) -> None:
    """Few validation rows give few values of accuracy: the first of equals would be the least trained."""
    seen: list[dict[str, Any]] = []

    def keep(event: dict[str, Any]) -> None:
        if event["kind"] == "evaluation":
            seen.append(event)

    slowly = {"optimization": {"learning_rate": 1e-4, "head_learning_rate": 1e-3}, "training": {"epochs": 30}}
    job = toy_job(toy_recipe(tiny_bert, **slowly), toy_rows(96), callbacks=(Listener(keep),))
    trained = train(job)
    highest = max(event["scores"]["accuracy"] for event in seen)
    equals = [event for event in seen if event["scores"]["accuracy"] == highest]
    assert len(equals) > 1
    best = min(equals, key=lambda event: event["scores"]["loss"])
    assert trained.best_step == best["step"]
    assert trained.best_step != equals[0]["step"]  # negative control: the first of equals is another
