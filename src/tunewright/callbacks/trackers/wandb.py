"""Weights & Biases: a run of a project, online or kept on disk to be sent later (``wandb sync``).

When: an account there, or ``mode: offline``. When not: data that may not leave the machine, unless offline.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tunewright.callbacks.tracker import Tracker, keep_id, kept_id
from tunewright.core.optional_packages import require
from tunewright.training.events import RunBegin, Status

_EXIT_CODES = {"finished": 0, "failed": 1, "interrupted": 130}


class Settings(BaseModel):
    """Which project, and whether numbers leave the machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    project: str = Field("tunewright", min_length=1, description="Name of the project.")
    entity: str | None = Field(None, description="User or team; None is the account's own.")
    mode: Literal["online", "offline"] | None = Field(None, description="None is $WANDB_MODE, or online where that is not set.")


class WeightsAndBiases(Tracker):
    """Numbers by step, the recipe as configuration; a resumed run continues under the same id."""

    name = "wandb"

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.library = require("wandb", "wandb", "runs logged to Weights & Biases")
        self.settings = settings
        self.run: Any = None

    def begin(self, event: RunBegin) -> None:
        known = kept_id(event.folder, self.name) if event.resumed else None
        self.run = self.library.init(
            project=self.settings.project,
            entity=self.settings.entity,
            mode=self.settings.mode,
            name=event.folder.name,
            id=known,
            resume=None if known is None else "allow",
            dir=str(event.folder),
            config=dict(event.recipe),
            reinit="create_new",
        )
        keep_id(event.folder, self.name, str(self.run.id))

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self.run.log(dict(numbers), step=step)

    def end(self, status: Status) -> None:
        if self.run is not None:
            self.run.summary["status"] = status
            self.run.finish(exit_code=_EXIT_CODES[status])
            self.run = None


def callback(settings: Settings) -> WeightsAndBiases:
    return WeightsAndBiases(settings)
