"""Options that several commands share, and the recipe that they ask for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from tunewright.core.errors import UserError

# The groups of options in a command's help, in the order of the work.
DATA, MODEL, TRAINING, OUTPUT = "Data", "Model", "Training", "Output"

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.", rich_help_panel=OUTPUT)]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, such as runs/mine.")]

Source = Annotated[str, typer.Argument(metavar="DATA", help="A table of texts, or a recipe that ends in .yaml.")]
Target = Annotated[
    list[str] | None, typer.Option("--target", help="Target column; several 0/1 columns for multi-label.", rich_help_panel=DATA)
]
Text = Annotated[list[str] | None, typer.Option("--text", help="Text column; twice for pairs.", rich_help_panel=DATA)]
TaskName = Annotated[str | None, typer.Option("--task", help="classification, multi_label, regression …", rich_help_panel=DATA)]
Separator = Annotated[
    str | None, typer.Option("--separator", help="What separates the labels of a row, such as ','.", rich_help_panel=DATA)
]
Validation = Annotated[
    str | None, typer.Option("--validation", help="Rows to choose the best evaluation by.", rich_help_panel=DATA)
]
Test = Annotated[str | None, typer.Option("--test", help="Rows to report on.", rich_help_panel=DATA)]
Model = Annotated[str | None, typer.Option("--model", help="Local folder, installed package, or hub id.", rich_help_panel=MODEL)]
Strategy = Annotated[str | None, typer.Option("--strategy", help="One of `tunewright parts strategies`.", rich_help_panel=MODEL)]
Epochs = Annotated[int | None, typer.Option("--epochs", help="Passes over the training rows.", rich_help_panel=TRAINING)]
LearningRate = Annotated[
    float | None, typer.Option("--lr", help="Learning rate below the head, which has its own.", rich_help_panel=TRAINING)
]
BatchSize = Annotated[int | None, typer.Option("--batch-size", help="Rows per forward pass.", rich_help_panel=TRAINING)]
Seed = Annotated[int | None, typer.Option("--seed", help="All randomness depends on it alone.", rich_help_panel=TRAINING)]
Device = Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda or cuda:N.", rich_help_panel=TRAINING)]
Budget = Annotated[
    str | None, typer.Option("--budget", help="Longest training time: 600, 90s, 10m, 1h.", rich_help_panel=TRAINING)
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any key of the recipe, such as optimization.layer_decay=0.9.",
        rich_help_panel=TRAINING,
    ),
]
Out = Annotated[
    str | None, typer.Option("--out", help="Folder of the run; a new one below runs/ by default.", rich_help_panel=OUTPUT)
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
