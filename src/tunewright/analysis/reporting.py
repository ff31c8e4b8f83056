"""The reports of a run: those that mean something for its task, made one after the other and kept in scores.json."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from tunewright.analysis.context import AnalysisContext
from tunewright.analysis.evidence import Report
from tunewright.config.recipe import DEFAULT_REPORTS, Choice
from tunewright.core.errors import UserError
from tunewright.core.files import read_json, write_json
from tunewright.core.registry import list_parts, load_part, name_of


def chosen(choices: Sequence[Choice], task: str, kind: str) -> list[Choice]:
    """The reports to make, each once, 'default' spelt out; one that means nothing for the task is a UserError."""
    found: dict[str, Choice] = {}
    for choice in choices:
        if choice == DEFAULT_REPORTS:
            parts = (load_part("reports", part.name) for part in list_parts("reports"))
            names = [name_of("reports", part) for part in parts if part.DEFAULT and means_something(part, task, kind)]
            found |= {name: Choice(name=name) for name in names if name not in found}
            continue
        part = load_part("reports", choice.name)
        if not means_something(part, task, kind):
            raise UserError(
                f"the report '{choice.name}' means nothing for {task.replace('_', ' ')} of {kind}",
                expected=f"one of {', '.join(_meaningful(task, kind)) or 'none'}",
            )
        found[choice.name] = choice
    return list(found.values())


def means_something(part: ModuleType, task: str, kind: str) -> bool:
    """Whether a report speaks of this task and input kind; ``TASKS`` or ``KINDS`` of None are all."""
    return (part.TASKS is None or task in part.TASKS) and (part.KINDS is None or kind in part.KINDS)


def _meaningful(task: str, kind: str) -> list[str]:
    return [part.name for part in list_parts("reports") if means_something(load_part("reports", part.name), task, kind)]


def make_reports(subject: AnalysisContext, choices: Sequence[Choice]) -> dict[str, dict[str, Any]]:
    """Each report's evidence by its name, with the seconds it took; what could not be made says why.

    A report that fails by our fault costs the run nothing but itself, unless TUNEWRIGHT_STRICT=1 asks for the error.
    """
    found = {}
    for choice in choices:
        part, started = load_part("reports", choice.name), time.monotonic()
        try:
            made: Report = part.report(subject, part.Settings(**choice.settings))
            entry = made.as_dict() | {"error": None}
        except UserError as error:
            entry = Report().as_dict() | {"error": str(error)}
        except Exception as error:
            if os.environ.get("TUNEWRIGHT_STRICT") == "1":
                raise
            said = f"{type(error).__name__}: {error}; this is our fault, please report it"
            entry = Report().as_dict() | {"error": said}
        found[choice.name] = entry | {"seconds": round(time.monotonic() - started, 3)}
    return found


def keep_reports(folder: Path, reports: dict[str, dict[str, Any]]) -> None:
    """Write them into scores.json, in place of former ones of the same names."""
    scores = read_json(folder / "scores.json")
    write_json(folder / "scores.json", scores | {"reports": scores.get("reports", {}) | reports})
