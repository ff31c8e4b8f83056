"""tunewright greet: a command from another package."""

from __future__ import annotations

import typer


def run(name: str) -> None:
    """Greet somebody by name."""
    typer.echo(f"hello {name}")
