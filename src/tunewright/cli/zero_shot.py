"""tunewright zero-shot: labeled images, told by their classes' names alone."""

from __future__ import annotations

from typing import Annotated

import typer

from tunewright.cli._options import Json, RunFolder
from tunewright.cli._output import print_json, print_table
from tunewright.cli._results import by_name


def run(
    folder: RunFolder,
    rows: Annotated[str, typer.Argument(help="A folder for each class, or a table of images and their classes.")],
    template: Annotated[
        list[str] | None, typer.Option("--template", help="A text with {} for the class; of several the vectors' mean.")
    ] = None,
    names: Annotated[list[str] | None, typer.Option("--class", help="A class without images here; may be repeated.")] = None,
    as_json: Json = False,
) -> None:
    """Score labeled images by the names of their classes, which need not have been trained on."""
    from tunewright.runs.run import load

    scores = [one.as_dict() for one in load(folder).zero_shot(rows, template or "a photo of a {}.", names or ())]
    if as_json:
        print_json({"run": folder, "scores": by_name(scores)})
    else:
        columns = ("metric", "value", "low", "high", "rows", "note")
        print_table(columns, [(s["name"], s["value"], s["low"], s["high"], s["n"], s["note"]) for s in scores])
