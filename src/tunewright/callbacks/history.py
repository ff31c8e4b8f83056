"""History: one JSON line per step, evaluation and stage, written as it happens."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tunewright.core.errors import UserError
from tunewright.core.files import write_text
from tunewright.training.callback import Callback
from tunewright.training.events import (
    EvaluationEnd,
    HistoryEvent,
    LayersUnfrozen,
    Save,
    StepEnd,
    TrainBegin,
    history_event,
)


class History(Callback):
    """A callback that appends events to ``history.jsonl``; a resumed run drops the lines that its checkpoint does not know.

    The lines are on the disk before the checkpoint that counts them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_begin(self, event: TrainBegin) -> None:
        with self._writing():
            self._cut(event.history_lines)

    def on_step_end(self, event: StepEnd) -> None:
        self._append(event)

    def on_evaluate(self, event: EvaluationEnd) -> None:
        self._append(event)

    def on_layers_unfrozen(self, event: LayersUnfrozen) -> None:
        self._append(event)

    def on_save(self, event: Save) -> None:
        with self._writing(), self.path.open("a", encoding="utf-8") as file:
            os.fsync(file.fileno())

    def _append(self, event: HistoryEvent) -> None:
        with self._writing(), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event.to_dict(), allow_nan=False) + "\n")

    def _cut(self, lines: int) -> None:
        """Keep the first ``lines`` lines."""
        kept = read_history(self.path)[:lines]
        write_text(self.path, "".join(json.dumps(event) + "\n" for event in kept))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(f"{self.path} could not be written: {error.strerror}; the last checkpoint stays") from error


def read_history(path: Path) -> list[dict[str, Any]]:
    """All whole lines; a line that a crash cut short is left out."""
    if not path.is_file():
        return []
    events = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            events.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return events


def read_events(path: Path) -> list[HistoryEvent]:
    """The lines of a history as the events that they were written from."""
    return [history_event(line) for line in read_history(path)]
