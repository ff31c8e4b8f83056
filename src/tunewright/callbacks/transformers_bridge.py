"""A bridge: a ``transformers.TrainerCallback`` as a callback of a run, where its hooks have a meaning.

Called: on_train_begin, on_step_end, on_log, on_evaluate, on_save, on_train_end, with ``args``, ``state`` and ``control`` of
transformers. Not called: hooks inside a step or of an epoch. Of ``control``, ``should_training_stop`` is obeyed, at the
next evaluation; model, optimizer and tokenizer are not handed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunewright.core.errors import UserError
from tunewright.core.types import TrainerControl
from tunewright.training.callback import Callback
from tunewright.training.events import EvaluationEnd, RunBegin, Save, StepEnd, TrainBegin, TrainEnd

if TYPE_CHECKING:
    import transformers


class TransformersCallback(Callback):
    """Calls the hooks of ``callback``; ``arguments`` stand for the Trainer's where the callback reads them."""

    def __init__(self, callback: transformers.TrainerCallback, arguments: transformers.TrainingArguments | None = None) -> None:
        from transformers import TrainerCallback as Theirs
        from transformers import TrainerControl as Control
        from transformers import TrainerState as State

        if not isinstance(callback, Theirs):
            raise UserError(f"{callback!r} is no transformers.TrainerCallback", expected="an object of a class derived from it")
        self.callback = callback
        self.arguments = arguments
        self.state: Any = State()
        self.control: Any = Control()

    def on_run_begin(self, event: RunBegin) -> None:
        self.arguments = self.arguments or _arguments(event)

    def on_train_begin(self, event: TrainBegin) -> TrainerControl | None:
        self.state.max_steps, self.state.num_train_epochs = event.steps, event.epochs
        self.state.global_step = event.resumed_at
        return self._call("on_train_begin")

    def on_step_end(self, event: StepEnd) -> TrainerControl | None:
        self.state.global_step, self.state.epoch = event.step, event.epoch
        self._call("on_step_end")
        logs = {"loss": event.loss, "grad_norm": event.grad_norm, "learning_rate": max(event.rate.values(), default=0.0)}
        return self._log({name: value for name, value in logs.items() if value is not None})

    def on_evaluate(self, event: EvaluationEnd) -> TrainerControl | None:
        metrics = {f"eval_{name}": value for name, value in event.scores.items() if value is not None}
        self._log(metrics)
        asked = self._call("on_evaluate", metrics=metrics)
        if event.better:  # after the hook, as their Trainer does: early stopping compares with the best before
            watched = str(getattr(self.arguments, "metric_for_best_model", None) or "loss").removeprefix("eval_")
            self.state.best_metric, self.state.best_global_step = metrics.get(f"eval_{watched}"), event.step
        return asked

    def on_save(self, event: Save) -> TrainerControl | None:
        return self._call("on_save")

    def on_train_end(self, event: TrainEnd) -> TrainerControl | None:
        return self._call("on_train_end")

    def _log(self, logs: dict[str, float]) -> TrainerControl | None:
        self.state.log_history.append({**logs, "epoch": self.state.epoch, "step": self.state.global_step})
        return self._call("on_log", logs={**logs, "epoch": self.state.epoch})

    def _call(self, hook: str, **more: Any) -> TrainerControl | None:
        found = getattr(self.callback, hook)(self.arguments, self.state, self.control, **more)
        self.control = found or self.control
        if not self.control.should_training_stop:
            return None
        return TrainerControl(stop=True, reason=f"asked for by {type(self.callback).__name__}")


def _arguments(event: RunBegin) -> transformers.TrainingArguments:
    """The run's settings as those of their Trainer."""
    try:
        from transformers import TrainingArguments
    except ImportError as error:
        raise UserError(
            f"a transformers.TrainerCallback needs TrainingArguments: {error}", try_="pip install accelerate"
        ) from None
    training, optimization = event.recipe["training"], event.recipe["optimization"]
    return TrainingArguments(
        output_dir=str(event.folder),
        num_train_epochs=training["epochs"],
        per_device_train_batch_size=training["batch_size"],
        gradient_accumulation_steps=training["gradient_accumulation_steps"],
        learning_rate=optimization["learning_rate"],
        seed=event.recipe["seed"],
        report_to=[],
        use_cpu=True,
    )
