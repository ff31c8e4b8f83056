"""A run in a notebook: where it is, what made it, and its scores beside the baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from tunewright.core.html import facts, heading, interval, lines, table

if TYPE_CHECKING:
    from tunewright.runs.run import Run


def run_html(run: Run) -> str:
    """The run as a short piece of HTML; one that is unfinished says so."""
    manifest = run.manifest
    found = heading(f"Run {run.folder.name}") + facts(
        {
            "status": manifest["status"],
            "strategy": manifest["strategy"],
            "model": manifest["base"]["source"],
            "seed": manifest.get("seed"),
            "created": manifest["created"],
        }
    )
    if not (run.folder / "scores.json").is_file():
        return str(found + lines(["No scores yet."]))
    return str(found + _scores(run.all_scores()) + facts({"page": run.report}))


def _scores(entries: list[dict[str, Any]]) -> Markup:
    """A row for each metric, a column for the fine-tuned model and for each baseline."""
    names = dict.fromkeys(("fine-tuned", *(one["of"] for one in entries)))
    cells = {(one["name"], one["of"]): interval(one["value"], one["low"], one["high"]) for one in entries}
    metrics = dict.fromkeys(one["name"] for one in entries)
    return table(("metric", *names), [(metric, *(cells.get((metric, name)) for name in names)) for metric in metrics])
