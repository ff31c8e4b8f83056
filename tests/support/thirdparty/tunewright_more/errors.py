"""The test rows with the largest errors, as a table of numbers."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tunewright.analysis.context import AnalysisContext
from tunewright.analysis.evidence import Grid, Report

DEFAULT = True
TASKS = ("urgency",)
KINDS = None


class Settings(BaseModel):
    """How much is shown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(3, ge=1, description="Rows that are shown.")


def report(subject: AnalysisContext, settings: Settings) -> Report:
    """The worst rows first."""
    wanted, found = subject.rows["test"].targets, subject.answers("test").values
    worst = np.argsort(-np.abs(wanted - found))[: settings.rows]
    rows = [(int(row), float(wanted[row]), float(found[row])) for row in worst]
    return Report(said=(f"{len(rows)} rows are shown.",), grids=(Grid("Largest errors", ("row", "target", "predicted"), rows),))
