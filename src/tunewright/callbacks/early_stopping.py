"""Early stopping: ends a run when validation has not improved for a number of evaluations.

Source: Prechelt 1998, 'Early stopping — but when?'. When: more epochs than needed were asked for. When not: schedules
that must reach their end (one-cycle, slanted triangular) lose their last, best part.
"""

from __future__ import annotations

from tunewright.core.types import TrainerControl
from tunewright.training.callback import Callback
from tunewright.training.events import EvaluationEnd, TrainBegin


class EarlyStopping(Callback):
    """A callback that asks for a stop after ``patience`` evaluations in a row that were not better."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.waited = 0

    def on_train_begin(self, event: TrainBegin) -> None:
        self.waited = event.waited

    def on_evaluate(self, event: EvaluationEnd) -> TrainerControl | None:
        self.waited = 0 if event.better else self.waited + 1
        if self.waited < self.patience:
            return None
        return TrainerControl(stop=True, reason=f"no better validation score for {self.waited} evaluations")
