"""The entry point: `tunewright COMMAND …`; importing it loads neither torch nor pydantic."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

import tunewright
from tunewright.cli._lazy import lazy_group, new_app

# In the order of the work; each is the file of that name beside this one.
COMMANDS = (
    "fit",
    "predict",
    "evaluate",
    "zero-shot",
    "generate",
    "report",
    "study",
    "check",
    "resume",
    "runs",
    "reproduce",
    "find-rate",
    "layers",
    "parts",
    "schema",
)

app = new_app(lazy_group("tunewright.cli", COMMANDS, added="tunewright.commands"), completion=True)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tunewright {tunewright.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Adapt pre-trained models to your data, and see what was gained and what was kept."""


def main() -> None:
    """Run the command line; exits with 0 done, 1 our fault, 2 the user's input, 130 interrupted, 143 by SIGTERM."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal's old encoding costs a character, not the run
    app(prog_name="tunewright")
