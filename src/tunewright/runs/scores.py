"""Scores of a run: a list that a notebook shows and pandas takes."""

from __future__ import annotations

from typing import Any

from tunewright.core.html import interval, table
from tunewright.core.optional_packages import require
from tunewright.core.types import Score


class Scores(list[Score]):
    """Scores in the task's order, the first one decides."""

    def to_frame(self) -> Any:
        """A ``pandas.DataFrame`` with one row for each score."""
        pandas = require("pandas", "notebook", "tables")
        columns = list(Score.__dataclass_fields__)
        return pandas.DataFrame([score.as_dict() for score in self], columns=columns)

    def _repr_html_(self) -> str:
        rows = [(one.name, interval(one.value, one.low, one.high), one.n, one.note) for one in self]
        return str(table(("metric", "value", "n", "note"), rows))
