"""Python logger: one line per step, evaluation and message, through the standard library's ``logging``.

When: a service that collects log lines. When not: for curves, which ``history.jsonl`` and the report have.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from tunewright.callbacks.tracker import Tracker
from tunewright.training.events import RunBegin, StageMessages, Status


class Settings(BaseModel):
    """Which logger, and a file of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    logger: str = Field("tunewright.run", min_length=1, description="Name of the logger; lines have the level INFO.")
    file: str | None = Field(
        "training.log", description="File in the run's folder; None leaves the lines to the program's own handlers."
    )


class PythonLogger(Tracker):
    """Lines of ``key=value``, numbers written so that they read back equal."""

    name = "python_logger"

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.logger = logging.getLogger(settings.logger)
        self.handler: logging.Handler | None = None
        self.level = self.logger.level

    def begin(self, event: RunBegin) -> None:
        if self.settings.file is not None:
            self.handler = logging.FileHandler(event.folder / self.settings.file, encoding="utf-8")
            self.handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
            self.logger.addHandler(self.handler)
            self.level = self.logger.level
            self.logger.setLevel(logging.INFO)
        self.logger.info("run=%s status=%s", event.folder.name, "resumed" if event.resumed else "running")

    def on_stage(self, event: StageMessages) -> None:
        for message in event.messages:
            self.logger.info("%s: %s", event.stage, message)

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self.logger.info("step=%d %s", step, " ".join(f"{name}={value!r}" for name, value in numbers.items()))

    def end(self, status: Status) -> None:
        self.logger.info("status=%s", status)
        if self.handler is not None:
            self.logger.removeHandler(self.handler)
            self.logger.setLevel(self.level)
            self.handler.close()
            self.handler = None


def callback(settings: Settings) -> PythonLogger:
    return PythonLogger(settings)
