"""A report's evidence for a notebook: what it means, its scores, findings and tables; drawings are in the run's page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from tunewright.core.html import heading, interval, lines, table


def report_html(entry: Mapping[str, Any], name: str = "") -> str:
    """A report as ``Report.as_dict`` has it."""
    found = heading(name.replace("_", " ")) if name else Markup("")
    found += lines(one for one in (entry.get("error"), *entry["said"]) if one)
    if entry["scores"]:
        rows = [(one["name"], interval(one["value"], one["low"], one["high"]), one["n"]) for one in entry["scores"]]
        found += table(("metric", "value", "n"), rows)
    found += lines(f"{one['level']}: {one['message']}" for one in entry["findings"])
    for grid in entry["grids"]:
        found += table(grid["columns"], grid["rows"], grid["title"])
    drawn = len(entry["charts"]) + len(entry["heats"])
    return str(found + lines([f"{drawn} drawings: see report.html"] if drawn else ()))
