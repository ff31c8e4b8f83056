"""Callback: typed hooks that a run calls; each may ask the training loop for something."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tunewright.core.errors import UserError
from tunewright.core.types import TrainerControl
from tunewright.training.events import (
    EvaluationEnd,
    Event,
    LayersUnfrozen,
    RunBegin,
    RunEnd,
    Save,
    StageMessages,
    StepEnd,
    TrainBegin,
    TrainEnd,
)


class Callback:
    """Base of all callbacks: every hook is empty, override those that matter.

    ``on_evaluate`` is where a returned ``TrainerControl`` takes effect. A hook that raises ends the run.
    """

    def on_run_begin(self, event: RunBegin) -> TrainerControl | None:
        return None

    def on_stage(self, event: StageMessages) -> TrainerControl | None:
        return None

    def on_train_begin(self, event: TrainBegin) -> TrainerControl | None:
        return None

    def on_step_end(self, event: StepEnd) -> TrainerControl | None:
        return None

    def on_evaluate(self, event: EvaluationEnd) -> TrainerControl | None:
        return None

    def on_layers_unfrozen(self, event: LayersUnfrozen) -> TrainerControl | None:
        return None

    def on_save(self, event: Save) -> TrainerControl | None:
        return None

    def on_train_end(self, event: TrainEnd) -> TrainerControl | None:
        return None

    def on_run_end(self, event: RunEnd) -> TrainerControl | None:
        return None

    def handle(self, event: Event) -> TrainerControl | None:
        """Call the hook of this event; override it only to see every event alike."""
        match event:
            case StepEnd():
                return self.on_step_end(event)
            case EvaluationEnd():
                return self.on_evaluate(event)
            case LayersUnfrozen():
                return self.on_layers_unfrozen(event)
            case StageMessages():
                return self.on_stage(event)
            case Save():
                return self.on_save(event)
            case TrainBegin():
                return self.on_train_begin(event)
            case TrainEnd():
                return self.on_train_end(event)
            case RunBegin():
                return self.on_run_begin(event)
            case RunEnd():
                return self.on_run_end(event)
        raise TypeError(f"no hook for {type(event).__name__}")


def notify(callbacks: Iterable[Callback], event: Event) -> list[TrainerControl]:
    """Hand an event to every callback, in their order; what they ask for."""
    return [asked for callback in callbacks if (asked := callback.handle(event)) is not None]


def checked(callbacks: Sequence[Any]) -> tuple[Callback, ...]:
    """The callbacks that were given; UserError names one that is none."""
    for given in callbacks:
        if not isinstance(given, Callback):
            raise UserError(
                f"the callback {given!r} is a {type(given).__name__}",
                expected="an object of a class derived from tunewright.training.callback.Callback",
                try_="tunewright.callbacks.transformers_bridge.TransformersCallback(callback) for one of transformers",
            )
    return tuple(callbacks)
