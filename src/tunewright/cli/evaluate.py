"""tunewright evaluate: the task's metrics on labeled rows, with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunewright.cli._options import Json, RunFolder
from tunewright.cli._output import print_json, print_table
from tunewright.cli._results import by_name
from tunewright.core.types import Score


def run(
    folder: RunFolder,
    rows: Annotated[str, typer.Argument(help="A table with the run's text and target columns.")],
    by: Annotated[
        list[str] | None, typer.Option("--by", help="Score the rows of each value of this column apart; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score labeled rows, each score with its interval."""
    from tunewright.runs.run import load

    if by:
        _apart(folder, load(folder).evaluate_by(rows, by), by, as_json)
        return
    scores = [score.as_dict() for score in load(folder).evaluate(rows)]
    if as_json:
        print_json({"run": folder, "scores": by_name(scores)})
    else:
        columns = ("metric", "value", "low", "high", "rows", "note")
        print_table(columns, [(s["name"], s["value"], s["low"], s["high"], s["n"], s["note"]) for s in scores])


def _apart(folder: Path, found: dict[tuple[str, ...], list[Score]], by: list[str], as_json: bool) -> None:
    """Scores of each slice, in one document or one table."""
    slices = {key: [score.as_dict() for score in scores] for key, scores in found.items()}
    if as_json:
        told = [{"of": dict(zip(by, key, strict=True)), "scores": by_name(scores)} for key, scores in slices.items()]
        print_json({"run": folder, "slices": told})
        return
    columns = (*by, "metric", "value", "low", "high", "rows", "note")
    named = ("name", "value", "low", "high", "n", "note")
    print_table(columns, [(*key, *(one[name] for name in named)) for key, scores in slices.items() for one in scores])
