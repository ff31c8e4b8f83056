"""tunewright runs show: what one run was made of and what it reached."""

from __future__ import annotations

from tunewright.cli._options import Json, RunFolder
from tunewright.cli._output import print_table, tell
from tunewright.cli._results import show_run


def run(folder: RunFolder, as_json: Json = False) -> None:
    """What one run was made of and what it reached."""
    from tunewright.runs.run import load

    opened = load(folder)
    if not as_json:
        manifest = opened.manifest
        made_of = {key: manifest.get(key) for key in ("status", "error", "created", "strategy", "seed", "parent", "command")}
        made_of["model"] = manifest["base"]["source"]
        print_table(("run", folder.name), [(key, str(value)) for key, value in made_of.items() if value is not None])
        tell("")
    show_run(opened, as_json=as_json)
