"""TensorBoard: event files in the run's folder, written by tensorboardX.

When: curves in a browser, on this machine (``tensorboard --logdir runs``). When not: the report's own curves are enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tunewright.callbacks.tracker import Tracker
from tunewright.core.optional_packages import require
from tunewright.training.events import RunBegin, Status, TrainBegin


class Settings(BaseModel):
    """Where the event files lie."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str | None = Field(None, description="Folder of the event files; None is 'tensorboard' in the run's folder.")


class TensorBoard(Tracker):
    """Scalars by step; a resumed run hides the steps that its checkpoint does not know (``purge_step``)."""

    name = "tensorboard"

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.library = require("tensorboardX", "tensorboard", "event files for TensorBoard")
        self.settings = settings
        self.folder: Path | None = None
        self.resumed = False
        self.writer: Any = None

    def begin(self, event: RunBegin) -> None:
        self.folder = Path(self.settings.folder).expanduser() if self.settings.folder else event.folder / "tensorboard"
        self.resumed = event.resumed

    def on_train_begin(self, event: TrainBegin) -> None:
        super().on_train_begin(event)
        purge = event.resumed_at + 1 if self.resumed else None
        suffix = f".after-{event.resumed_at}"  # a file of its own, also within the second that names the file
        self.writer = self.library.SummaryWriter(str(self.folder), purge_step=purge, filename_suffix=suffix)

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        if self.writer is not None:  # a run that ends before it trains has nothing to show
            for name, value in numbers.items():
                self.writer.add_scalar(name, value, step)

    def end(self, status: Status) -> None:
        if self.writer is not None:
            self.writer.add_text("run/status", status, self.step)
            self.writer.close()
            self.writer = None


def callback(settings: Settings) -> TensorBoard:
    return TensorBoard(settings)
