"""A dry run in a notebook: what would train, how long, in how much memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunewright.core.html import facts, heading, lines, table
from tunewright.core.text import count, duration

if TYPE_CHECKING:
    from tunewright.pipeline.planning import Checked, Plan

_COLUMNS = ("depth", "name", "parameters", "trainable", "rate")


def plan_html(plan: Plan) -> str:
    """A dry run as a short piece of HTML."""
    trainable, total = (sum(layer[key] for layer in plan.layers) for key in ("trainable", "parameters"))
    found = heading("Dry run: nothing was trained or written") + facts(
        {
            "strategy": plan.recipe.strategy,
            "model": plan.recipe.model.source,
            "method": plan.recipe.method.name,
            "trainable": f"{count(trainable)} of {count(total)} parameters",
            "time": f"about {duration(plan.estimate.seconds)}",
            "memory": f"about {plan.estimate.bytes / 2**30:.2f} GiB",
        }
    )
    found += table(_COLUMNS, [[layer[key] for key in _COLUMNS] for layer in plan.layers])
    return str(found + lines((*plan.said, *(f"{one.level}: {one.message}" for one in plan.findings))))


def checked_html(checked: Checked) -> str:
    """A check of the rows as a short piece of HTML."""
    found = checked.as_dict()
    shown = heading("Check: nothing to refuse") + table(("part", "rows"), list(found["rows"].items()))
    return str(shown + lines((*found["said"], *(f"{one['level']}: {one['message']}" for one in found["findings"]))))
