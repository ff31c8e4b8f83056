"""tunewright runs pool: runs of several seeds taken together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tunewright.cli._options import Json
from tunewright.cli._output import cell, print_json, print_table, tell
from tunewright.cli._results import comparison

Folders = Annotated[
    list[Path], typer.Argument(metavar="RUN...", help="The folders of runs; those that differ in the seed alone are one group.")
]


def run(folders: Folders, as_json: Json = False) -> None:
    """Means over seeds with their intervals, and recipes compared seed by seed."""
    from tunewright.runs.pooled import pool_runs

    pooled = pool_runs(folders)
    if as_json:
        print_json(pooled)
        return
    metrics = list(dict.fromkeys(metric for group in pooled["groups"] for metric in group["scores"]))
    rows = [
        (group["name"], len(group["seeds"]), *(_shown(group["scores"].get(metric)) for metric in metrics))
        for group in pooled["groups"]
    ]
    print_table(("recipe of", "seeds", *metrics), rows)
    for difference in pooled["differences"]:
        tell(comparison(difference))


def _shown(score: dict[str, Any] | None) -> str:
    if score is None or score["value"] is None:
        return cell(None)
    bounds = "" if score["low"] is None else f" [{score['low']:.3f}, {score['high']:.3f}]"
    return f"{score['value']:.3f}{bounds}"
