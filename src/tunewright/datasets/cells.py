"""Any column of the file that a part's rows came from, in the order of the rows."""

from __future__ import annotations

from typing import Any

from tunewright.core.errors import UserError
from tunewright.datasets.columns import find
from tunewright.datasets.prepare import DatasetSplits


def cells_of(prepared: DatasetSplits, part: str, name: str) -> list[Any]:
    """The cells of a column, whether or not the model reads it."""
    table = prepared.tables.get(part, prepared.tables.get("train"))
    if table is None:
        raise UserError(
            f"the column '{name}' is not kept of rows that are streamed",
            expected="rows in memory",
            try_="--set data.streaming=false",
        )
    cells = table.column(find(table, name, "column")[0])
    numbers = getattr(prepared, part).numbers
    if (numbers < 0).any():
        raise UserError(f"the column '{name}' is not kept of rows that are replayed", try_="--set data.replay=[]")
    place = {int(number): index for index, number in enumerate(table.rows)}
    return [cells[place[int(number)]] for number in numbers]
