"""What the pre-trained weights save: the same network from random weights, and tuned on ever fewer rows.

Source: Yosinski et al. 2014; He, Girshick and Dollar 2019, Rethinking ImageNet Pre-training (from scratch needs longer training
to be compared fairly, section 3). When: to know whether the pre-trained model is worth it. When not: networks without
one (tables).
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tunewright.analysis.evidence import Chart, Grid, Report
from tunewright.core.types import Score
from tunewright.experiments.trials import Trials, is_better, max_train_samples, primary
from tunewright.runs.run import Run
from tunewright.runs.store import compare_runs

_COLUMNS = ("run", "score", "low", "high", "training seconds")


class Settings(BaseModel):
    """How training from scratch is done."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int | None = Field(None, ge=1, description="Epochs from scratch; None takes four times the recipe's (a guess).")
    rate: float = Field(5e-4, gt=0, lt=1, description="Learning rate from scratch (a guess: ten times BERT's for tuning).")
    halvings: int = Field(4, ge=1, le=10, description="How often the rows are halved to find how few are enough.")


def study(trials: Trials, settings: Settings) -> Report:
    """The recipe, the same from scratch, and the recipe on half the rows again and again."""
    tuned = trials.run("pre-trained", {})
    epochs = settings.epochs or 4 * tuned.recipe.training.epochs
    plain: dict[str, Any] = {
        "strategy": None,
        "method": {"name": "full"},
        "initialization": [{"name": "random_above", "kept": 0}],
        "unfreezing": {"name": "none"},
        "averaging": [],
        "regularizers": [],
        "optimization": {
            "learning_rate": settings.rate,
            "head_learning_rate": settings.rate,
            "layer_decay": 1.0,
            "learning_rates_by_depth": None,
        },
        "training": {"epochs": epochs, "max_train_examples_seen": None},
    }
    scratch = trials.run("from-scratch", plain)
    most = max_train_samples(tuned)
    fewer = {
        most // 2**halvings: trials.run(
            f"pre-trained-{most // 2**halvings}", {"data": {"max_train_samples": most // 2**halvings}}
        )
        for halvings in range(1, settings.halvings + 1)
    }
    runs = {f"pre-trained, {rows} rows": run for rows, run in {most: tuned, **fewer}.items()} | {
        f"from scratch, {most} rows": scratch
    }
    bar = primary(scratch)
    paired = compare_runs(tuned.folder, scratch.folder)["paired"]
    return Report(
        said=tuple(_said(primary(tuned), bar, most, fewer, paired, _time_to(tuned, bar), scratch)),
        scores=(primary(tuned), bar),
        grids=(Grid("Runs", _COLUMNS, [_row(name, run) for name, run in runs.items()]),),
        charts=(_chart({most: tuned, **fewer}, bar),),
    )


def _row(name: str, run: Run) -> tuple[Any, ...]:
    found = primary(run)
    return (name, found.value, found.low, found.high, run.details["time"]["training_seconds"])


def _time_to(run: Run, bar: Score) -> float | None:
    """Seconds of training until its validation score was as good as the bar."""
    assert bar.value is not None
    checks = (event for event in run.history if event["kind"] == "evaluation" and bar.name in event["scores"])
    return next((one["seconds"] for one in checks if is_better(one["scores"][bar.name], bar.value, bar.name)), None)


def _said(
    tuned: Score, bar: Score, most: int, fewer: dict[int, Run], paired: dict[str, Any] | None, seconds: float | None, scratch: Run
) -> list[str]:
    assert tuned.value is not None
    assert bar.value is not None
    p = "" if not paired or paired.get("p") is None else f", p {paired['p']:.2g}, {paired['test']}"
    name = tuned.name.replace("_", " ")
    said = [
        f"Tuned from pre-trained weights {name} is {tuned.value:.3f}, from random ones {bar.value:.3f} on the same {most} rows "
        f"({tuned.value - bar.value:+.3f}{p})."
    ]
    enough = [rows for rows, run in fewer.items() if is_better(primary(run).value or 0.0, bar.value, bar.name)]
    if enough:
        said.append(f"{min(enough)} of the {most} rows are enough to be as good as training from scratch on all of them.")
    elif is_better(tuned.value, bar.value, bar.name):
        said.append("With half of the rows it is no longer as good as training from scratch on all of them.")
    took = scratch.details["time"]["training_seconds"]
    if seconds is not None:
        said.append(f"Tuning was as good after {seconds:.1f} s of training; from scratch took {took:.1f} s.")
    return said


def _chart(runs: dict[int, Run], bar: Score) -> Chart:
    points = tuple((float(rows), primary(run).value or 0.0) for rows, run in sorted(runs.items()))
    level = tuple((at, bar.value or 0.0) for at, _ in (points[0], points[-1]))
    lines = (("pre-trained", points), ("from scratch, all rows", level))
    return Chart("Score and rows", "training rows", bar.name.replace("_", " "), lines)
