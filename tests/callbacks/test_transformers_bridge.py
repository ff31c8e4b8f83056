"""The bridge: a real ``transformers.TrainerCallback`` sees the same numbers, and its wish to stop is obeyed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.toy import toy_job, toy_recipe
from tests.listener import Listener
from tunewright.callbacks.transformers_bridge import TransformersCallback
from tunewright.core.errors import UserError
from tunewright.training.checkpoint import Checkpoints
from tunewright.training.events import EvaluationEnd, RunBegin
from tunewright.training.trainer import train

transformers = pytest.importorskip("transformers")


def recorder() -> Any:
    class Recorder(transformers.TrainerCallback):
        def __init__(self) -> None:
            self.called: list[tuple[str, int, Any]] = []

        def on_train_begin(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
            self.called.append(("train_begin", state.global_step, state.max_steps))

        def on_step_end(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
            self.called.append(("step_end", state.global_step, state.epoch))

        def on_log(self, args, state, control, logs=None, **kwargs):  # type: ignore[no-untyped-def]
            self.called.append(("log", state.global_step, logs))

        def on_evaluate(self, args, state, control, metrics=None, **kwargs):  # type: ignore[no-untyped-def]
            self.called.append(("evaluate", state.global_step, metrics))

        def on_save(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
            self.called.append(("save", state.global_step, None))

        def on_train_end(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
            self.called.append(("train_end", state.global_step, None))

    return Recorder()


def test_its_hooks_see_what_the_run_sees(tiny_bert: Path, tmp_path: Path) -> None:
    theirs, events = recorder(), []
    callbacks = (TransformersCallback(theirs), Listener(events.append))
    job = toy_job(toy_recipe(tiny_bert), callbacks=callbacks, checkpoints=Checkpoints(tmp_path))
    trained = train(job)
    steps = [event for event in events if event["kind"] == "step"]
    called = {hook: [one[1:] for one in theirs.called if one[0] == hook] for hook in {one[0] for one in theirs.called}}
    assert called["train_begin"] == [(0, trained.steps)]
    assert called["step_end"] == [(event["step"], event["epoch"]) for event in steps]
    assert [logs["loss"] for _, logs in called["log"] if "loss" in logs] == [event["loss"] for event in steps]
    scores = [event["scores"] for event in events if event["kind"] == "evaluation"]
    assert [metrics for _, metrics in called["evaluate"]] == [{f"eval_{k}": v for k, v in one.items()} for one in scores]
    assert len(called["save"]) == sum(event["kind"] == "save" for event in events) > 0
    assert called["train_end"] == [(trained.steps, None)]


def early_stopping(folder: Path, scores: list[float]) -> list[bool]:
    """What transformers' own early stopping asks for after each of these validation losses."""
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        metric_for_best_model="loss",
        greater_is_better=False,
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        report_to=[],
        use_cpu=True,
    )
    bridge = TransformersCallback(transformers.EarlyStoppingCallback(2), arguments)
    best, asked = float("inf"), []
    for step, loss in enumerate(scores, 1):
        request = bridge.handle(EvaluationEnd(step, step, step / 9, 0.5, {"loss": loss}, loss < best, 1.0))
        asked.append(request is not None and request.stop)
        best = min(best, loss)
    return asked


@pytest.mark.parametrize(
    ("losses", "stops"), [([3.0, 2.0, 2.5, 2.4], [False, False, False, True]), ([3.0, 2.0, 2.5, 1.0], [False] * 4)]
)
def test_their_early_stopping_stops_a_run_that_got_no_better(tmp_path: Path, losses: list[float], stops: list[bool]) -> None:
    pytest.importorskip("accelerate", reason="TrainingArguments needs accelerate")
    assert early_stopping(tmp_path, losses) == stops


def test_a_run_that_is_asked_to_stop_ends_at_its_next_evaluation(tiny_bert: Path) -> None:
    class Stop(transformers.TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
            control.should_training_stop = state.global_step >= 2

    job = toy_job(toy_recipe(tiny_bert, training={"epochs": 4}), callbacks=(TransformersCallback(Stop()),))
    trained = train(job)
    assert (trained.steps, trained.reason) == (job.steps_per_epoch, "asked for by Stop")
    assert trained.steps < job.total_steps  # negative control: it would have gone on


def test_arguments_are_those_of_the_recipe(tiny_bert: Path, tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="TrainingArguments needs accelerate")
    bridge = TransformersCallback(transformers.PrinterCallback())
    bridge.handle(RunBegin(tmp_path, toy_recipe(tiny_bert, training={"epochs": 7}).model_dump(mode="json")))
    assert (bridge.arguments.num_train_epochs, bridge.arguments.output_dir) == (7, str(tmp_path))


def test_another_object_is_refused() -> None:
    with pytest.raises(UserError, match=r"no transformers\.TrainerCallback"):
        TransformersCallback(print)  # type: ignore[arg-type]
