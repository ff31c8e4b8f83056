"""tunewright report: what a finished run tells besides its scores."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tunewright.cli._options import Json, RunFolder
from tunewright.cli._output import print_json, print_table, tell

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Of `tunewright parts reports`; those of every run by default.")
]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting of the report named.")]


def run(folder: RunFolder, names: Names = None, settings: Settings = None, as_json: Json = False) -> None:
    """Make reports of a finished run and add them to its page."""
    from tunewright.config.reader import parse_settings
    from tunewright.pipeline.examine import examine
    from tunewright.runs.run import load

    opened = load(folder)
    reports = examine(opened, *(names or ()), **parse_settings(settings or ()))
    if as_json:
        print_json(reports)
        return
    for name, found in reports.items():
        _show(name, found)
    tell(f"report  {opened.report}")


def _show(name: str, found: dict[str, Any]) -> None:
    tell(f"{name.replace('_', ' ')} ({found['seconds']:.1f} s)")
    if found["error"]:
        tell(f"not made: {found['error']}")
        return
    for said in found["said"]:
        tell(said)
    for finding in found["findings"]:
        tell(f"{finding['level']}: {finding['message']}")
    for grid in found["grids"]:
        tell(grid["title"])
        print_table(
            tuple(grid["columns"]), [tuple("undefined" if cell is None else cell for cell in row) for row in grid["rows"]]
        )
