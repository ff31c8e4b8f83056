"""Progress: what a run is doing, on standard error: a bar where somebody watches, a few plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from tunewright.core.text import count, duration, printable

if TYPE_CHECKING:
    from rich.progress import TaskID

Event = dict[str, Any]
Show = Callable[[Event], None]


@contextmanager
def progress(stream: TextIO | None = None) -> Iterator[Show]:
    """A callback for the time of a run; the bar is taken away at the end, however the run ends."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield lambda event: _write(stream, event)
        return
    bar = _Bar(stream)
    try:
        yield bar
    finally:
        bar.close()


def describe(event: Event) -> list[str]:
    """An event in words; nothing for a single step."""
    lines: list[str] = []
    match event["kind"]:
        case "phase":
            lines = [f"{event['name']}: {said}" for said in _listed(event["said"])] or [event["name"]]
        case "start":
            trained = f"{count(event['trainable'])} of {count(event['parameters'])} parameters"
            again = f", continued after step {event['resumed_at']}" if event.get("resumed_at") else ""
            lines = [f"training: {event['rows']:,} rows, {event['epochs']} epochs, {event['steps']:,} steps, {trained}{again}"]
        case "stage":
            lines = [
                f"opened: layers from depth {event['open_from']} up train" + (f" ({event['name']})" if event["name"] else "")
            ]
        case "evaluation":
            lines = [_evaluation(event)]
        case "end":
            lines = [f"training ended: {event['reason']}"]
    return [printable(line) for line in lines]


def _evaluation(event: Event) -> str:
    scores = ", ".join(f"{name} {value:.4g}" for name, value in event["scores"].items() if value is not None)
    better = "  best so far" if event["better"] else ""
    left = _left(event["progress"], event["seconds"])
    return f"epoch {event['epoch']:.3g}, step {event['step']:,}: train loss {event['train_loss']:.4g}, {scores}{better}{left}"


def _left(share: float, seconds: float) -> str:
    """Time left, taken from the time gone; steps cost more when more layers are open, so it is a guess."""
    return f"  ({duration(seconds / share * (1 - share))} left)" if 0 < share < 1 else ""


def _listed(said: str | list[str]) -> list[str]:
    return [said] if isinstance(said, str) else list(said)


def _write(stream: TextIO, event: Event) -> None:
    for line in describe(event):
        stream.write(line + "\n")
    stream.flush()


class _Bar:
    """Lines that stay, above one bar that moves."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
        self.console = Console(file=stream)
        self.bar = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=self.console, refresh_per_second=4)
        self.task: TaskID | None = None
        self.steps = 0

    def __call__(self, event: Event) -> None:
        for line in describe(event):
            self.console.print(line, markup=False, highlight=False)
        if event["kind"] == "start":
            self.steps = event["steps"]
            self.bar.start()
            self.task = self.bar.add_task("training", total=self.steps, completed=event.get("resumed_at", 0))
        elif event["kind"] == "step" and self.task is not None:
            said = f"epoch {event['epoch']:.2f}  step {event['step']}/{self.steps}  loss {event['loss']:.4f}"
            self.bar.update(self.task, completed=event["step"], description=said)
        elif event["kind"] == "end":
            self.close()

    def close(self) -> None:
        self.bar.stop()
