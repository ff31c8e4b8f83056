"""What a report hands over: scores with intervals, findings in words, tables, charts, and rows with weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tunewright.analysis.report_html import report_html
from tunewright.core.types import Finding, Score

Cell = str | float | int | None


@dataclass(frozen=True)
class Grid:
    """A table: its title, the names of its columns, and its rows; a cell that is None is undefined."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]


@dataclass(frozen=True)
class Chart:
    """Named lines over one axis; ``diagonal`` draws the line on which both axes are equal."""

    title: str
    x: str
    y: str
    lines: tuple[tuple[str, tuple[tuple[float, float], ...]], ...]
    diagonal: bool = False


@dataclass(frozen=True)
class Heat:
    """A row whose parts have weights: words of a text, or the squares of a picture, ``side`` times ``side`` row by row.

    ``image``: the picture as PNG in base64; empty of a text.
    """

    title: str
    parts: tuple[tuple[str, float], ...]
    image: str = ""
    side: int = 0


@dataclass(frozen=True)
class Report:
    """One report's evidence; ``said`` is what it means, in sentences."""

    said: tuple[str, ...] = ()
    scores: tuple[Score, ...] = ()
    findings: tuple[Finding, ...] = ()
    grids: tuple[Grid, ...] = ()
    charts: tuple[Chart, ...] = ()
    heats: tuple[Heat, ...] = ()

    def _repr_html_(self) -> str:
        return report_html(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
