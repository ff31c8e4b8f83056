"""Two runs compared: a dictionary that a notebook shows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tunewright.core.html import interval, lines, table


class Comparison(dict[str, Any]):
    """``runs``, ``scores``, ``recipe``, ``differences`` and ``paired`` of two runs."""

    def _repr_html_(self) -> str:
        names = [Path(folder).name for folder in self["runs"]]
        found = _scores(self["scores"]) + lines(_paired(names, self["paired"]))
        if self["recipe"]:
            rows = [(key, *map(json.dumps, values)) for key, values in self["recipe"].items()]
            found += table(("setting", *names), rows)
        return str(found + lines(f"differs: {one}" for one in self["differences"]))


def _scores(scores: Mapping[str, Mapping[str, Any]]) -> Markup:
    metrics = dict.fromkeys(metric for found in scores.values() for metric in found)
    empty = {"value": None, "low": None, "high": None}
    cells = {metric: [found.get(metric, empty) for found in scores.values()] for metric in metrics}
    rows = [(metric, *(interval(one["value"], one["low"], one["high"]) for one in found)) for metric, found in cells.items()]
    return table(("metric", *scores), rows)


def _paired(names: list[str], paired: Mapping[str, Any] | None) -> list[str]:
    """The paired difference in one sentence, where the test rows are the same."""
    if paired is None or paired["difference"] is None:
        return []
    p = "" if paired["p"] is None else f", p = {paired['p']:.2g}"
    return [f"{' − '.join(names)}: {paired['metric']} {paired['difference']:+.3f}{p} ({paired['test']})"]
