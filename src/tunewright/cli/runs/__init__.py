"""List, show, compare and pool the folders of finished and unfinished runs."""

from tunewright.cli._lazy import lazy_group, new_app

COMMANDS = ("list", "show", "compare", "pool")

app = new_app(lazy_group("tunewright.cli.runs", COMMANDS))


@app.callback()
def _runs() -> None:
    """List runs, show one, compare two, or pool several seeds."""
