"""trackio: a local dashboard of the Hugging Face kind (``trackio show``); numbers lie in ``TRACKIO_DIR``.

When: curves of several runs in a browser without an account. When not: one run, whose report has them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tunewright.callbacks.tracker import Tracker, keep_id, kept_id
from tunewright.core.optional_packages import require
from tunewright.training.events import RunBegin, Status


class Settings(BaseModel):
    """Which project, and a Space where it is shown to others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    project: str = Field("tunewright", min_length=1, description="Name of the project.")
    space_id: str | None = Field(None, description="Hugging Face Space that shows it; None keeps everything on this machine.")


class Trackio(Tracker):
    """Numbers by step, the recipe as configuration; a resumed run continues the run of its name."""

    name = "trackio"

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.library = require("trackio", "trackio", "runs logged to trackio")
        self.settings = settings
        self.run: Any = None

    def begin(self, event: RunBegin) -> None:
        known = kept_id(event.folder, self.name) if event.resumed else None
        with redirect_stdout(sys.stderr):  # what it prints is not the command's output
            self.run = self.library.init(
                project=self.settings.project,
                name=known or event.folder.name,
                space_id=self.settings.space_id,
                config=dict(event.recipe),
                resume="never" if known is None else "allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        keep_id(event.folder, self.name, str(self.run.name))

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self.run.log(dict(numbers), step=step)

    def end(self, status: Status) -> None:
        if self.run is None:
            return
        with redirect_stdout(sys.stderr):
            self.run.log({"status": status}, step=self.step)
            self.library.finish()
        self.run = None


def callback(settings: Settings) -> Trackio:
    return Trackio(settings)
