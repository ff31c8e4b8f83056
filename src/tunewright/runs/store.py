"""The store of runs: every run folder below a root, as rows; two of them side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunewright.core.files import read_json
from tunewright.runs.manifest import differences
from tunewright.runs.run import load


def list_runs(root: Path) -> list[dict[str, Any]]:
    """One row per run below ``root``, newest first: name, status, strategy, model, primary score."""
    rows = [_row(path.parent) for path in root.glob("*/manifest.json")]
    return sorted(rows, key=lambda row: str(row["created"]), reverse=True)


def _row(folder: Path) -> dict[str, Any]:
    manifest = read_json(folder / "manifest.json")
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
    if (folder / "scores.json").is_file():
        scores = read_json(folder / "scores.json")
        found = next((s for s in scores["scores"] if s["of"] == "fine-tuned" and s["name"] == scores["primary"]), None)
        if found is not None:
            row |= {"metric": found["name"], "value": found["value"], "low": found["low"], "high": found["high"]}
    return row


def compare_runs(first: Path, second: Path) -> dict[str, Any]:
    """Scores side by side, which recipe keys differ, what the two were made of, and the paired difference where rows are the same."""
    a, b = load(first), load(second)
    scores = {run.folder.name: {score.name: score.as_dict() for score in run.scores} for run in (a, b)}
    return {
        "runs": [str(a.folder), str(b.folder)],
        "scores": scores,
        "recipe": _changed(a.recipe.model_dump(mode="json"), b.recipe.model_dump(mode="json")),
        "differences": differences(a.manifest, b.manifest),
        "paired": _paired(first, second),
    }


def _changed(first: dict[str, Any], second: dict[str, Any], prefix: str = "") -> dict[str, list[Any]]:
    changed: dict[str, list[Any]] = {}
    for key in sorted({*first, *second}):
        before, after = first.get(key), second.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            changed |= _changed(before, after, f"{prefix}{key}.")
        elif before != after:
            changed[f"{prefix}{key}"] = [before, after]
    return changed
