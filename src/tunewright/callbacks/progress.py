"""Progress: what a run is doing, on standard error: a bar where somebody watches, a few plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from tunewright.core.text import count, duration, printable
from tunewright.training.callback import Callback
from tunewright.training.events import EvaluationEnd, Event, LayersUnfrozen, StageMessages, StepEnd, TrainBegin, TrainEnd

if TYPE_CHECKING:
    from rich.progress import TaskID


@contextmanager
def progress(stream: TextIO | None = None) -> Iterator[Callback]:
    """A callback for the time of a run; the bar is taken away at the end, however the run ends."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield _Lines(stream)
        return
    bar = _Bar(stream)
    try:
        yield bar
    finally:
        bar.close()


def describe(event: Event) -> list[str]:
    """An event in words; nothing for a single step."""
    lines: list[str] = []
    match event:
        case StageMessages():
            lines = [f"{event.stage}: {message}" for message in event.messages] or [event.stage]
        case TrainBegin():
            lines = [_begin(event)]
        case LayersUnfrozen():
            lines = [f"opened: layers from depth {event.open_from} up train" + (f" ({event.name})" if event.name else "")]
        case EvaluationEnd():
            lines = [_evaluation(event)]
        case TrainEnd():
            lines = [f"training ended: {event.reason}"]
    return [printable(line) for line in lines]


def _begin(event: TrainBegin) -> str:
    trained = f"{count(event.trainable)} of {count(event.parameters)} parameters"
    again = f", continued after step {event.resumed_at}" if event.resumed_at else ""
    return f"training: {event.rows:,} rows, {event.epochs} epochs, {event.steps:,} steps, {trained}{again}"


def _evaluation(event: EvaluationEnd) -> str:
    scores = ", ".join(f"{name} {value:.4g}" for name, value in event.scores.items() if value is not None)
    better = "  best so far" if event.better else ""
    left = _left(event.progress, event.seconds)
    return f"epoch {event.epoch:.3g}, step {event.step:,}: train loss {event.train_loss:.4g}, {scores}{better}{left}"


def _left(share: float, seconds: float) -> str:
    """Time left, taken from the time gone; steps cost more when more layers are open, so it is a guess."""
    return f"  ({duration(seconds / share * (1 - share))} left)" if 0 < share < 1 else ""


def _write(stream: TextIO, event: Event) -> None:
    for line in describe(event):
        stream.write(line + "\n")
    stream.flush()


class _Lines(Callback):
    """Plain lines, one per event but a step."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def handle(self, event: Event) -> None:
        _write(self.stream, event)


class _Bar(Callback):
    """Lines that stay, above one bar that moves."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
        self.console = Console(file=stream)
        self.bar = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=self.console, refresh_per_second=4)
        self.task: TaskID | None = None
        self.steps = 0

    def handle(self, event: Event) -> None:
        for line in describe(event):
            self.console.print(line, markup=False, highlight=False)
        super().handle(event)

    def on_train_begin(self, event: TrainBegin) -> None:
        self.steps = event.steps
        self.bar.start()
        self.task = self.bar.add_task("training", total=self.steps, completed=event.resumed_at)

    def on_step_end(self, event: StepEnd) -> None:
        if self.task is not None:
            shown = f"epoch {event.epoch:.2f}  step {event.step}/{self.steps}  loss {event.loss:.4f}"
            self.bar.update(self.task, completed=event.step, description=shown)

    def on_train_end(self, event: TrainEnd) -> None:
        self.close()

    def close(self) -> None:
        self.bar.stop()
