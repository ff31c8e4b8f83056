"""Reports of a run, as scores.json has them: dictionaries that a notebook shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunewright.analysis.report_html import report_html


class ReportEntry(dict[str, Any]):
    """One report's evidence."""

    def __init__(self, entry: Mapping[str, Any], name: str) -> None:
        super().__init__(entry)
        self.name = name

    def _repr_html_(self) -> str:
        return report_html(self, self.name)


class Reports(dict[str, dict[str, Any]]):
    """A run's reports by name."""

    def __init__(self, entries: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__({name: ReportEntry(entry, name) for name, entry in entries.items()})

    def _repr_html_(self) -> str:
        return "".join(report_html(entry, name) for name, entry in self.items())
