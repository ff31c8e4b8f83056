"""A table: named columns of equal length that remember where each row came from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunewright.core.errors import UserError, unknown
from tunewright.core.types import Finding

_SHOWN = 5


def listed(items: Iterable[Any], *, shown: int = _SHOWN) -> str:
    """'2, 5, 9 and 14 more': enough to find the rows, short enough to read."""
    items = [str(item) for item in items]
    more = f" and {len(items) - shown} more" if len(items) > shown else ""
    return ", ".join(items[:shown]) + more


@dataclass(frozen=True)
class Table:
    """Columns as read. ``rows`` holds each row's number in the source and ``unit`` says what that number counts."""

    columns: dict[str, list[Any]]
    rows: tuple[int, ...]
    source: str
    unit: str = "row"
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        for name, values in self.columns.items():
            if len(values) != len(self.rows):
                raise UserError(
                    f"{self.source}: column '{name}' has {len(values)} values, another has {len(self.rows)}",
                    expected="columns of equal length",
                )

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, indices: Sequence[int]) -> Table:
        columns = {name: [values[index] for index in indices] for name, values in self.columns.items()}
        return replace(self, columns=columns, rows=tuple(self.rows[index] for index in indices))

    def column(self, name: str) -> list[Any]:
        if name not in self.columns:
            raise unknown(f"{self.source}: column", name, self.columns)
        return self.columns[name]

    def where(self, indices: Sequence[int]) -> str:
        """The source and the numbers of some rows, in words: 'train.csv, lines 2, 5'."""
        unit = self.unit if len(indices) == 1 else f"{self.unit}s"
        return f"{self.source}, {unit} {listed(self.rows[index] for index in indices)}"
