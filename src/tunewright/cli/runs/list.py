"""tunewright runs list: every run below a folder, newest first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunewright.cli._options import Json
from tunewright.cli._output import print_json, print_table, tell
from tunewright.cli._results import interval
from tunewright.core.errors import UserError


def run(
    root: Annotated[Path, typer.Argument(help="The folder that holds the runs.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """Every run below a folder, newest first."""
    if not root.is_dir() and root != Path("runs"):
        raise UserError(f"'{root}' is not a folder", expected="a folder that holds runs")
    from tunewright.runs.store import list_runs

    rows = list_runs(root)
    if as_json:
        print_json({"root": root, "runs": rows})
    elif rows:
        columns = ("name", "status", "strategy", "model", "created")
        print_table(
            (*columns, "metric", "value"), [(*(row[key] for key in columns), row["metric"], interval(row)) for row in rows]
        )
    else:
        tell(f"No runs below {root}.")
