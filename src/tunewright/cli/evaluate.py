"""tunewright evaluate: the task's metrics on labelled rows, with intervals."""

from __future__ import annotations

from typing import Annotated

import typer

from tunewright.cli._options import Json, RunFolder
from tunewright.cli._output import print_json, print_table
from tunewright.cli._results import by_name


def run(
    folder: RunFolder,
    rows: Annotated[str, typer.Argument(help="A table with the run's text and target columns.")],
    as_json: Json = False,
) -> None:
    """Score labelled rows, each score with its interval."""
    from tunewright.runs.run import load

    scores = [score.as_dict() for score in load(folder).evaluate(rows)]
    if as_json:
        print_json({"run": folder, "scores": by_name(scores)})
    else:
        columns = ("metric", "value", "low", "high", "rows", "note")
        print_table(columns, [(s["name"], s["value"], s["low"], s["high"], s["n"], s["note"]) for s in scores])
