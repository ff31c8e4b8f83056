"""tunewright parts: every method, schedule, head … with its one line."""

from __future__ import annotations

from typing import Annotated

import typer

from tunewright.cli._options import Json
from tunewright.cli._output import print_json, print_table, tell
from tunewright.core.errors import unknown


def run(
    family: Annotated[str | None, typer.Argument(help="One family only, such as methods or strategies.")] = None,
    as_json: Json = False,
) -> None:
    """Every method, schedule, head … with its one line."""
    from tunewright.core.registry import FAMILIES, list_parts
    from tunewright.strategies import list_strategies

    families = ("strategies", *FAMILIES)
    if family is not None and family not in families:
        raise unknown("part family", family, families, try_="tunewright parts")
    chosen = families if family is None else (family,)
    found = {
        name: {part.name: part.summary for part in (list_strategies() if name == "strategies" else list_parts(name))}
        for name in chosen
    }
    if as_json:
        print_json(found)
        return
    for name, parts in found.items():
        if parts:
            print_table(("name", "meaning"), list(parts.items()), title=name)
            tell("")
