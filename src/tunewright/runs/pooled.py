"""Runs of several seeds taken together: the mean of each recipe with its interval, and recipes compared seed by seed.

Source: Student's t over seeds, paired by seed where two recipes share them: Dror et al. 2018, The Hitchhiker's Guide to Testing
Statistical Significance in NLP, section 3; why one seed is not enough: Reimers and Gurevych 2017, Reporting Score Distributions.
When: the spread over seeds is as large as what is compared. When not: one run of each (`runs compare` pairs their rows).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from tunewright.core.differences import differing
from tunewright.core.errors import UserError
from tunewright.core.files import read_json
from tunewright.runs.run import Run, load


def pool_runs(folders: Sequence[Path], confidence: float = 0.95) -> dict[str, Any]:
    """Groups of runs whose recipes differ in the seed alone, each metric's mean and interval, and paired differences."""
    runs = [load(folder) for folder in folders]
    for run in runs:
        if not run.finished:
            raise UserError(f"the run '{run.folder}' is not finished", try_=f"tunewright resume {run.folder}")
    groups: list[list[Run]] = []
    for run in runs:
        same = next((group for group in groups if not differing(_made_of(group[0]), _made_of(run))), None)
        groups.append([run]) if same is None else same.append(run)
    for group in groups:
        seeds = [run.recipe.seed for run in group]
        if len(set(seeds)) < len(seeds):
            raise UserError(f"two runs are the same: {group[0].folder.name} and its like have the seeds {seeds}")
    primary = read_json(runs[0].folder / "scores.json")["primary"]
    names = [group[0].folder.name for group in groups]
    return {
        "metric": primary,
        "groups": [
            {
                "name": name,
                "runs": [str(run.folder) for run in group],
                "seeds": [run.recipe.seed for run in group],
                "recipe": {key: there[1] for key, there in differing(_made_of(groups[0][0]), _made_of(group[0])).items()},
                "scores": {metric: _mean(_values(group, metric), confidence) for metric in _metrics(group)},
            }
            for name, group in zip(names, groups, strict=True)
        ],
        "differences": [
            {"a": names[a], "b": names[b], **_paired(groups[a], groups[b], primary, confidence)}
            for a, b in combinations(range(len(groups)), 2)
        ],
    }


def _made_of(run: Run) -> dict[str, Any]:
    """A recipe without its seed, its place, and what a measurement decided."""
    recipe = run.recipe.model_dump(mode="json") | {"seed": None, "out": None}
    recipe["training"] |= {"threads": None, "precision": None}
    recipe["data"] |= {"train": run.manifest["data_hash"], "validation": None, "test": None}  # wherever the rows lie
    return recipe


def _metrics(group: Sequence[Run]) -> list[str]:
    return [score.name for score in group[0].scores]


def _values(group: Sequence[Run], metric: str) -> dict[int, float]:
    """A metric by seed, where it is defined."""
    found = {run.recipe.seed: next((one.value for one in run.scores if one.name == metric), None) for run in group}
    return {seed: value for seed, value in found.items() if value is not None}


def _mean(values: dict[int, float], confidence: float) -> dict[str, Any]:
    """Mean, spread and t interval over seeds; of one seed there is no interval."""
    from scipy.stats import t

    many, each = len(values), np.array(list(values.values()))
    found: dict[str, Any] = {"value": float(each.mean()) if many else None, "low": None, "high": None, "seeds": many}
    if many > 1:
        half = float(t.ppf((1 + confidence) / 2, many - 1) * each.std(ddof=1) / np.sqrt(many))
        found |= {"low": found["value"] - half, "high": found["value"] + half, "spread": float(each.std(ddof=1))}
    return found


def _paired(first: Sequence[Run], second: Sequence[Run], metric: str, confidence: float) -> dict[str, Any]:
    """The mean difference over the seeds that both have, its interval and p-value."""
    from scipy.stats import t

    a, b = _values(first, metric), _values(second, metric)
    shared = sorted(a.keys() & b.keys())
    differences = np.array([a[seed] - b[seed] for seed in shared])
    found = {"metric": metric, "seeds": len(shared), "difference": None, "low": None, "high": None, "p": None}
    if len(shared) < 2:
        return found | {"test": "fewer than two shared seeds"}
    mean, error = float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(len(shared)))
    half = float(t.ppf((1 + confidence) / 2, len(shared) - 1)) * error
    p = float(2 * t.sf(abs(mean) / error, len(shared) - 1)) if error else float(mean == 0)
    return found | {"difference": mean, "low": mean - half, "high": mean + half, "p": p, "test": "paired t over seeds"}
