"""predictions.csv: the test rows with what was predicted; one field for each name in its first line, whatever the rows are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from tunewright.core.csv_text import csv_text
from tunewright.core.types import Predictions
from tunewright.datasets.cells import cells_of
from tunewright.datasets.columns import folded
from tunewright.datasets.prepare import DatasetSplits
from tunewright.pipeline.steps import PreparedRun

_OWN = ("row", "target", "predicted", "probability")


def predictions_csv(setup: PreparedRun, tuned: Predictions) -> str:
    """The test rows: their number, each input column as its table has it, the target, what was predicted and how surely."""
    labels, rows, shown = setup.prepared.labels, setup.prepared.test, setup.head.shown
    lines: list[list[object]] = [["row", *_names(setup.prepared.schema.text), "target", "predicted", "probability"]]
    for index, (number, inputs) in enumerate(zip(rows.numbers, _inputs(setup.prepared), strict=True)):
        probability = "" if tuned.probabilities is None else f"{float(np.max(tuned.probabilities[index])):.6f}"
        lines.append([number, *inputs, shown(rows.targets[index], labels), shown(tuned.values[index], labels), probability])
    return csv_text(lines)


def _names(columns: Sequence[str]) -> list[str]:
    """The input columns' own names; one that is called as a column of ours is marked, so that no name stands twice."""
    found: list[str] = []
    for name in columns:
        while name in (*_OWN, *found):
            name = f"{name} (input)"
        found.append(name)
    return found


def _inputs(prepared: DatasetSplits) -> list[tuple[str, ...]]:
    """The input cells of each test row, one for each input column."""
    if not prepared.tables:  # streamed rows: texts, of which nothing else is kept
        return prepared.test.inputs
    return list(zip(*(_column(prepared, name) for name in prepared.schema.text), strict=True))


def _column(prepared: DatasetSplits, name: str) -> list[str]:
    """A column of the test rows; empty where their file may lack it and does."""
    table = prepared.tables.get("test", prepared.tables["train"])
    if folded(name) not in map(folded, table.columns):
        return [""] * len(prepared.test)
    return [field(cell) for cell in cells_of(prepared, "test", name)]


def field(cell: Any) -> str:
    """A cell as one field: text and numbers as they are, words joined by spaces, lists as JSON, arrays and bytes by size."""
    if cell is None or (isinstance(cell, float) and cell != cell):
        return ""
    if isinstance(cell, np.ndarray):
        return "array " + "×".join(map(str, cell.shape))
    if isinstance(cell, bytes):
        return f"{len(cell):,} bytes"
    if isinstance(cell, (list, tuple)) and all(isinstance(one, str) for one in cell):
        return " ".join(cell)
    if isinstance(cell, (list, tuple, dict)):
        return json.dumps(cell, ensure_ascii=False, default=field)
    return str(cell)
