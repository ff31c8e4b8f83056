"""Options that several commands share, and the recipe that they ask for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from tunewright.core.errors import UserError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, such as runs/mine.")]

Source = Annotated[str, typer.Argument(metavar="DATA", help="A table of texts, or a recipe that ends in .yaml.")]
Model = Annotated[str | None, typer.Option("--model", help="Local folder, installed package, or hub id.")]
Target = Annotated[list[str] | None, typer.Option("--target", help="Target column; several 0/1 columns for multi-label.")]
Text = Annotated[list[str] | None, typer.Option("--text", help="Text column; twice for pairs.")]
TaskName = Annotated[str | None, typer.Option("--task", help="classification, multi_label, regression or similarity.")]
Separator = Annotated[str | None, typer.Option("--separator", help="What stands between several labels of a row, such as ','.")]
Strategy = Annotated[str | None, typer.Option("--strategy", help="One of `tunewright parts strategies`.")]
Validation = Annotated[str | None, typer.Option("--validation", help="Rows to choose the best evaluation by.")]
Test = Annotated[str | None, typer.Option("--test", help="Rows to report on.")]
Seed = Annotated[int | None, typer.Option("--seed", help="All randomness depends on it alone.")]
Out = Annotated[str | None, typer.Option("--out", help="Folder of the run; a new one below runs/ by default.")]
Budget = Annotated[str | None, typer.Option("--budget", help="Longest training time: 600, 90s, 10m, 1h.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any key of the recipe, such as optimization.layer_decay=0.9."),
]

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str | None) -> float | None:
    """Seconds of '600', '90s', '10m', '1.5h' or '1h30m'."""
    if text is None:
        return None
    pieces = re.findall(r"(\d+(?:\.\d+)?)\s*(min|[smhd]?)", text.strip().lower())
    whole = "".join(number + unit for number, unit in pieces)
    total = sum(float(number) * _UNITS[unit] for number, unit in pieces)
    if not pieces or whole != re.sub(r"\s", "", text.lower()) or total <= 0:
        raise UserError(
            f"'{text}' is not a duration", expected="a number of seconds, or such as 90s, 10m, 1.5h", try_="--budget 10m"
        )
    return total
