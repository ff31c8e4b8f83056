"""tunewright runs compare: two runs side by side, and whether their difference is more than chance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tunewright.cli._options import Json
from tunewright.cli._output import print_json, print_table, tell
from tunewright.cli._results import comparison, interval


def run(
    first: Annotated[Path, typer.Argument(help="The folder of a run.")],
    second: Annotated[Path, typer.Argument(help="The folder of another run.")],
    as_json: Json = False,
) -> None:
    """Two runs side by side: scores, settings, and whether they differ by more than chance."""
    from tunewright.runs.store import compare_runs

    compared = compare_runs(first, second)
    if as_json:
        print_json(compared)
        return
    _show_scores(compared["scores"])
    if compared["paired"] is not None:
        a, b = (Path(folder).name for folder in compared["runs"])
        tell(comparison({"a": a, "b": b, **compared["paired"]}))
    _show_settings(compared)
    for said in compared["differences"]:
        tell(f"differs: {said}")


def _show_scores(scores: dict[str, dict[str, Any]]) -> None:
    names = list(scores)
    metrics = list(dict.fromkeys(metric for found in scores.values() for metric in found))
    rows = [
        (metric, *(interval(scores[name][metric]) if metric in scores[name] else None for name in names)) for metric in metrics
    ]
    print_table(("metric", *names), rows)


def _show_settings(compared: dict[str, Any]) -> None:
    if compared["recipe"]:
        tell("")
        rows = [(key, *(json.dumps(value) for value in values)) for key, values in compared["recipe"].items()]
        print_table(("setting", *(Path(folder).name for folder in compared["runs"])), rows)
