"""tunewright schema: the JSON Schema of a recipe, for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunewright.cli._options import OUTPUT
from tunewright.cli._output import print_json, say

Out = Annotated[Path | None, typer.Option("--out", help="Write it to this file.", rich_help_panel=OUTPUT)]


def run(out: Out = None) -> None:
    """The JSON Schema of a recipe, for editors that complete and check YAML."""
    from tunewright.config.json_schema import recipe_schema
    from tunewright.core.files import write_json

    schema = recipe_schema()
    if out is None:
        print_json(schema)
        return
    write_json(out, schema)
    say(f"{out}; name it in a recipe's first line: # yaml-language-server: $schema={out}")
