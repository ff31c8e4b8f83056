"""Tracker: the base of callbacks that log a run's numbers elsewhere, and the guard that keeps a broken one from failing a run."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tunewright.core.files import read_json, write_json
from tunewright.core.types import TrainerControl
from tunewright.training.callback import Callback
from tunewright.training.events import (
    EvaluationEnd,
    Event,
    HistoryEvent,
    LayersUnfrozen,
    RunBegin,
    RunEnd,
    Status,
    StepEnd,
    TrainBegin,
)

_LOGGER = logging.getLogger(__name__)


class Tracker(Callback, ABC):
    """Logs the numbers of ``history.jsonl`` and the test scores; ``begin``, ``log`` and ``end`` are the tracker's own."""

    name = ""

    def __init__(self) -> None:
        self.step = 0  # the last that was logged

    @abstractmethod
    def begin(self, event: RunBegin) -> None: ...

    @abstractmethod
    def log(self, step: int, numbers: Mapping[str, float]) -> None: ...

    @abstractmethod
    def end(self, status: Status) -> None:
        """Close the tracker's run, also where ``begin`` did not get far."""

    def on_run_begin(self, event: RunBegin) -> None:
        self.begin(event)

    def on_train_begin(self, event: TrainBegin) -> None:
        self.step = event.resumed_at

    def on_step_end(self, event: StepEnd) -> None:
        self._log(event)

    def on_evaluate(self, event: EvaluationEnd) -> None:
        self._log(event)

    def on_layers_unfrozen(self, event: LayersUnfrozen) -> None:
        self._log(event)

    def on_run_end(self, event: RunEnd) -> None:
        try:
            if event.scores:
                self.log(self.step, {f"test/{name}": value for name, value in event.scores.items()})
        finally:
            self.end(event.status)

    def _log(self, event: HistoryEvent) -> None:
        self.step = event.step
        self.log(event.step, numbers_of(event))


def numbers_of(event: HistoryEvent) -> dict[str, float]:
    """An event's numbers under the names that trackers show; what is undefined is left out."""
    match event:
        case StepEnd():
            rates = {f"train/learning_rate/depth_{depth}": rate for depth, rate in event.rate.items()}
            found = {"train/loss": event.loss, "train/grad_norm": event.grad_norm, "train/epoch": event.epoch, **rates}
        case EvaluationEnd():
            found = {"train/mean_loss": event.train_loss, **{f"validation/{name}": one for name, one in event.scores.items()}}
        case LayersUnfrozen():
            found = {"train/unfrozen_from_depth": float(event.open_from)}
    return {name: float(value) for name, value in found.items() if value is not None}


class Guarded(Callback):
    """A tracker that may break without breaking the run: it warns once, is told no more, and is still closed."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.broken = False

    def handle(self, event: Event) -> TrainerControl | None:
        if self.broken and not isinstance(event, RunEnd):
            return None
        try:
            self.tracker.handle(event)
        except Exception as error:  # whatever a tracker's library raises
            self._warn(error)
        return None

    def _warn(self, error: Exception) -> None:
        if not self.broken:
            said = f"{type(error).__name__}: {error}"
            _LOGGER.warning("%s stopped logging (%s); the run goes on without it", self.tracker.name, said)
        self.broken = True


def kept_id(folder: Path, tracker: str) -> str | None:
    """The id under which a tracker knows the run of this folder, where it has been told."""
    path = _id_file(folder, tracker)
    return str(read_json(path)["id"]) if path.is_file() else None


def keep_id(folder: Path, tracker: str, identity: str) -> None:
    """Keep that id, so that a resumed run continues the same one."""
    path = _id_file(folder, tracker)
    path.parent.mkdir(exist_ok=True)
    write_json(path, {"id": identity})


def _id_file(folder: Path, tracker: str) -> Path:
    return folder / "trackers" / f"{tracker}.json"


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings under dotted names."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found
