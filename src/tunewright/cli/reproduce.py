"""tunewright reproduce: make a run again and compare the weights bit for bit."""

from __future__ import annotations

import typer

from tunewright.cli._faults import FAILED
from tunewright.cli._options import Json, Out, RunFolder
from tunewright.cli._output import print_json, tell


def run(folder: RunFolder, out: Out = None, as_json: Json = False) -> None:
    """Make a run again: exit 0 if equal bit for bit, else 1."""
    from tunewright.callbacks.progress import progress
    from tunewright.pipeline.workflow import reproduce

    with progress() as watch:
        again = reproduce(folder, out=out, callbacks=[watch])
    if as_json:
        print_json({"run": folder, "again": again.folder, "equal": again.equal, "differences": list(again.differences)})
    else:
        tell(
            "equal: the weights of both runs are the same, bit for bit"
            if again.equal
            else "different: the weights are not the same"
        )
        for said in again.differences:
            tell(f"- {said}")
        tell(f"run     {again.folder}")
    if not again.equal:
        raise typer.Exit(FAILED)
