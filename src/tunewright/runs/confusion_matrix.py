"""Confusion matrix: how many rows of each class were predicted as each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from tunewright.core.errors import UserError
from tunewright.core.html import MOST_ROWS, table
from tunewright.core.optional_packages import require


@dataclass(frozen=True)
class ConfusionMatrix:
    """``counts[i][j]`` test rows of class ``labels[i]`` were predicted as class ``labels[j]``."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, details: Mapping[str, Any], task: str) -> Self:
        """The one that a run wrote among its details; UserError where the task has none."""
        found = details.get("confusion")
        if not found:
            raise UserError(
                f"{task.replace('_', ' ')} has no confusion matrix", expected="a run for classification or ordinal labels"
            )
        return cls(tuple(found["names"]), tuple(tuple(row) for row in found["counts"]))

    def to_frame(self) -> Any:
        """A ``pandas.DataFrame``: a row for each class, a column for each predicted class."""
        pandas = require("pandas", "notebook", "tables")
        index, columns = pandas.Index(self.labels, name="class"), pandas.Index(self.labels, name="predicted as")
        return pandas.DataFrame([list(row) for row in self.counts], index=index, columns=columns)

    def most_confused(self) -> list[tuple[str, str, int]]:
        """(class, predicted as, rows) off the diagonal, the most frequent first."""
        cells = [
            (self.labels[i], self.labels[j], count)
            for i, row in enumerate(self.counts)
            for j, count in enumerate(row)
            if i != j and count
        ]
        return sorted(cells, key=lambda cell: -cell[2])

    def _repr_html_(self) -> str:
        if len(self.labels) > MOST_ROWS:
            return str(table(("class", "predicted as", "rows"), self.most_confused(), "Most confused classes"))
        rows = [(label, *row) for label, row in zip(self.labels, self.counts, strict=True)]
        return str(table(("class", *self.labels), rows, "Confusion matrix: rows are classes, columns what was predicted"))
