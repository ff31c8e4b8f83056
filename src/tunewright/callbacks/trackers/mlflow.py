"""MLflow: a run of an experiment on a tracking server, or in a local folder, with mlflow-skinny.

When: a team's server at ``MLFLOW_TRACKING_URI``. When not: on one's own machine ``tunewright runs list`` compares runs.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tunewright.callbacks.tracker import Tracker, flat, keep_id, kept_id
from tunewright.core.optional_packages import require
from tunewright.training.events import RunBegin, Status

_STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
_MOST_PARAMETERS = 100  # in one request, MLflow's own limit
_LONGEST = 500  # characters of a parameter, the limit of older servers
_ALLOW_FOLDER = "MLFLOW_ALLOW_FILE_STORE"  # newer versions ask for it where the store is a folder


class Settings(BaseModel):
    """Which server and which experiment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    uri: str | None = Field(
        None, description="Tracking server or folder; None is $MLFLOW_TRACKING_URI, or the folder mlruns where that is not set."
    )
    experiment: str = Field("tunewright", min_length=1, description="Name of the experiment; made where there is none.")


class MLflow(Tracker):
    """Metrics by step, the recipe as parameters; a resumed run continues the same MLflow run."""

    name = "mlflow"

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.library = require("mlflow", "mlflow", "runs logged to MLflow")
        self.settings = settings
        self.client: Any = None
        self.run: str | None = None

    def begin(self, event: RunBegin) -> None:
        self.client = self._client()
        self.run = kept_id(event.folder, self.name) if event.resumed else None
        if self.run is not None:
            self.client.update_run(self.run, status="RUNNING")
            return
        found = self.client.get_experiment_by_name(self.settings.experiment)
        experiment = found.experiment_id if found is not None else self.client.create_experiment(self.settings.experiment)
        self.run = self.client.create_run(experiment, run_name=event.folder.name).info.run_id
        keep_id(event.folder, self.name, str(self.run))
        self._log_recipe(event.recipe)

    def _client(self) -> Any:
        uri = self.settings.uri or os.environ.get("MLFLOW_TRACKING_URI") or "mlruns"
        before = os.environ.get(_ALLOW_FOLDER)
        os.environ[_ALLOW_FOLDER] = before or "true"
        try:
            return self.library.MlflowClient(tracking_uri=uri)
        finally:
            if before is None:
                del os.environ[_ALLOW_FOLDER]

    def _log_recipe(self, recipe: Mapping[str, Any]) -> None:
        entities = self.library.entities
        parameters = [entities.Param(_allowed(name), str(value)[:_LONGEST]) for name, value in flat(recipe).items()]
        for first in range(0, len(parameters), _MOST_PARAMETERS):
            self.client.log_batch(self.run, params=parameters[first : first + _MOST_PARAMETERS])

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        now, metric = int(time.time() * 1000), self.library.entities.Metric
        self.client.log_batch(self.run, metrics=[metric(_allowed(name), value, now, step) for name, value in numbers.items()])

    def end(self, status: Status) -> None:
        if self.run is not None:
            self.client.set_terminated(self.run, _STATUS[status])
            self.run = None


def _allowed(name: str) -> str:
    """The name in the characters that MLflow allows."""
    return re.sub(r"[^\w\-. :/]", "_", name)


def callback(settings: Settings) -> MLflow:
    return MLflow(settings)
