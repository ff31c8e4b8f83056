"""The store of runs: every run folder below a root, as rows; two of them side by side."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from tunewright.artifacts.manifest import differences
from tunewright.artifacts.records import read_manifest, read_scores
from tunewright.core.differences import differing
from tunewright.core.errors import UserError
from tunewright.core.types import Labels, Predictions
from tunewright.evaluation.compare import compare
from tunewright.runs.comparison import Comparison
from tunewright.runs.run import Run, load

# What is shown of a run whose manifest or scores cannot be read.
_DAMAGED: dict[str, Any] = {"status": "damaged", "created": "", "strategy": "", "base": {"source": ""}, "parent": None}


def list_runs(root: Path) -> list[dict[str, Any]]:
    """One row per run below ``root``, newest first: name, status, strategy, model, primary score."""
    rows = [_row(path.parent) for path in root.glob("*/manifest.json")]
    return sorted(rows, key=lambda row: str(row["created"]), reverse=True)


def _row(folder: Path) -> dict[str, Any]:
    try:
        manifest = read_manifest(folder)
        scores = read_scores(folder) if (folder / "scores.json").is_file() else None
    except UserError:
        manifest, scores = _DAMAGED, None
    row = {
        "name": folder.name,
        "folder": str(folder),
        "status": manifest["status"],
        "created": manifest["created"],
        "strategy": manifest["strategy"],
        "model": manifest["base"]["source"],
        "parent": manifest["parent"],
        "metric": None,
        "value": None,
        "low": None,
        "high": None,
    }
    if scores is not None:
        found = next((s for s in scores["scores"] if s["of"] == "fine-tuned" and s["name"] == scores.get("primary")), None)
        if found is not None:
            row |= {"metric": found["name"], "value": found["value"], "low": found["low"], "high": found["high"]}
    return row


def compare_runs(first: Path, second: Path) -> Comparison:
    """Scores side by side, differing settings and makings, and a paired test where the test rows are the same."""
    a, b = load(first), load(second)
    scores = {run.folder.name: {score.name: score.as_dict() for score in run.scores} for run in (a, b)}
    return Comparison(
        runs=[str(a.folder), str(b.folder)],
        scores=scores,
        recipe=differing(a.recipe.model_dump(mode="json"), b.recipe.model_dump(mode="json")),
        differences=differences(a.manifest, b.manifest),
        paired=_paired(a, b),
    )


def _paired(first: Run, second: Run) -> dict[str, Any] | None:
    """A paired comparison of stored predictions; None unless both runs predicted the same test rows, each of one class."""
    rows = [_stored(run) for run in (first, second)]
    keys = [[(row["row"], row["target"]) for row in one] for one in rows]
    labels = Labels(**first.model_labels())
    if keys[0] != keys[1] or labels.task != "classification":
        return None
    numbers = {name: number for number, name in enumerate(labels.names)}
    if any(row["predicted"] not in numbers or row["target"] not in numbers for one in rows for row in one):
        return None
    targets = np.array([numbers[row["target"]] for row in rows[0]])
    values = [Predictions(np.array([numbers[row["predicted"]] for row in one]), None) for one in rows]
    return compare("accuracy", targets, values[0], values[1], labels)


def _stored(run: Run) -> list[dict[str, str]]:
    with (run.folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
