"""Early stopping: ends a run when validation has not improved for a number of evaluations.

Source: Prechelt 1998, 'Early stopping — but when?'. When: more epochs than needed were asked for. When not: schedules
that must reach their end (one-cycle, slanted triangular) lose their last, best part.
"""

from __future__ import annotations

from typing import Any

from tunewright.core.types import TrainerControl


class EarlyStopping:
    """A callback that asks for a stop after ``patience`` evaluations in a row that were not better."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.waited = 0

    def __call__(self, event: dict[str, Any]) -> TrainerControl | None:
        if event["kind"] == "start":
            self.waited = event.get("waited", 0)
        if event["kind"] != "evaluation":
            return None
        self.waited = 0 if event["better"] else self.waited + 1
        if self.waited < self.patience:
            return None
        return TrainerControl(stop=True, reason=f"no better validation score for {self.waited} evaluations")
