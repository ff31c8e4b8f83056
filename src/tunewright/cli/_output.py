"""What a command prints: one JSON document or tables on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from tunewright.core.text import printable

Rows = Sequence[Sequence[object]]


def say(text: str) -> None:
    """A line for people, on standard error."""
    typer.echo("\n".join(printable(line) for line in text.split("\n")), err=True)


def tell(text: str) -> None:
    """A line of the result, on standard output."""
    typer.echo("\n".join(printable(line) for line in text.split("\n")))


def print_json(document: Mapping[str, Any]) -> None:
    """The one JSON document of a command; ASCII, so that it is valid under every terminal's encoding."""
    typer.echo(json.dumps(document, indent=2, allow_nan=False, default=_plain))


def print_table(columns: Sequence[str], rows: Rows, *, title: str = "") -> None:
    """A table: drawn by rich on a terminal, else columns of plain text two spaces apart."""
    cells = [[cell(value) for value in row] for row in rows]
    numeric = [all(isinstance(value, (int, float, type(None))) for value in column) for column in zip(*rows, strict=True)]
    right = numeric or [False] * len(columns)
    if sys.stdout.isatty():
        _draw(title, columns, cells, right)
    else:
        if title:
            tell(title)
        for line in aligned([list(columns), *cells], right):
            tell(line)


def aligned(lines: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    """Lines of equally wide columns, without trailing spaces."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (
        [text.rjust(width) if to_right else text.ljust(width) for text, width, to_right in zip(line, widths, right, strict=True)]
        for line in lines
    )
    return ["  ".join(line).rstrip() for line in padded]


def cell(value: object) -> str:
    """A value as a table shows it: four digits, thousands set apart, a dash for nothing."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value))


def _draw(title: str, columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for name, to_right in zip(columns, right, strict=True):
        table.add_column(name, justify="right" if to_right else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(text) for text in row))  # as text: brackets in data are no markup
    Console().print(table)


def _plain(value: object) -> Any:
    """NumPy values, paths, dates and sets as JSON has them."""
    if isinstance(value, Path):
        return str(value)
    for method in ("as_dict", "tolist", "isoformat"):
        if hasattr(value, method):
            return getattr(value, method)()
    raise TypeError(f"{type(value).__name__} has no JSON form")
