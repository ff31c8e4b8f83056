"""History of a run: a list of its events that a notebook shows, pandas takes and matplotlib draws."""

from __future__ import annotations

from typing import Any

from tunewright.core.errors import UserError, unknown
from tunewright.core.html import table
from tunewright.core.optional_packages import require

_LOSS = "loss"
Points = list[tuple[float, float]]


class RunHistory(list[dict[str, Any]]):
    """Steps, evaluations and stages in the order in which they happened."""

    def curves(self, metric: str = _LOSS) -> dict[str, Points]:
        """(step, value) of a metric on the validation rows, and where it is the loss, of each training step."""
        checks = [event for event in self if event["kind"] == "evaluation"]
        found = {
            "training": [(event["step"], event["loss"]) for event in self if event["kind"] == "step"] if metric == _LOSS else [],
            "validation": [(event["step"], event["scores"][metric]) for event in checks if metric in event["scores"]],
        }
        found = {name: points for name, points in found.items() if points}
        if found:
            return found
        known = {name for event in checks for name in event["scores"]}
        if known:
            raise unknown("metric of the history", metric, known)
        raise UserError("the history has no evaluation", expected="a run that has trained")

    def plot(self, metric: str = _LOSS, ax: Any = None) -> Any:
        """Draw a metric over the steps, with a dashed line where a stage begins; returns matplotlib's axes."""
        curves = self.curves(metric)
        if ax is None:
            _, ax = require("matplotlib.pyplot", "notebook", "plots").subplots()
        for name, points in curves.items():
            many = name == "training"
            ax.plot(*zip(*points, strict=True), label=name, marker=None if many else "o", linewidth=0.8 if many else 1.6)
        for event in self:
            if event["kind"] == "stage" and event["step"] > 0:
                ax.axvline(event["step"], linestyle="--", linewidth=0.8, color="gray")
        ax.set(xlabel="step", ylabel=metric.replace("_", " "))
        ax.legend()
        return ax

    def to_frame(self) -> Any:
        """A ``pandas.DataFrame`` with one row for each evaluation."""
        return require("pandas", "notebook", "tables").DataFrame(self._evaluations())

    def _repr_html_(self) -> str:
        rows = self._evaluations()
        columns = list(dict.fromkeys(key for row in rows for key in row))
        return str(table(columns, [[row.get(key) for key in columns] for row in rows], "Evaluations"))

    def _evaluations(self) -> list[dict[str, Any]]:
        places = ("step", "epoch", "seconds", "train_loss")
        checks = (event for event in self if event["kind"] == "evaluation")
        return [{key: event[key] for key in places if key in event} | dict(event["scores"]) for event in checks]
