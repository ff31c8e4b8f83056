"""History: one JSON line per step, evaluation and stage, written as it happens."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tunewright.core.errors import UserError
from tunewright.core.files import write_text

KEPT = ("step", "evaluation", "stage")


class History:
    """A callback that appends events to ``history.jsonl``; a resumed run drops the lines that its checkpoint does not know.

    The lines are on the disk before the checkpoint that counts them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, event: dict[str, Any]) -> None:
        try:
            if event["kind"] == "start":
                self._cut(int(event.get("told", 0)))
            elif event["kind"] in KEPT:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(event, allow_nan=False) + "\n")
            elif event["kind"] == "saving":
                with self.path.open("a", encoding="utf-8") as file:
                    os.fsync(file.fileno())
        except OSError as error:
            raise UserError(f"{self.path} could not be written: {error.strerror}; the last checkpoint stays") from error

    def _cut(self, told: int) -> None:
        """Keep the first ``told`` lines."""
        kept = read_history(self.path)[:told]
        write_text(self.path, "".join(json.dumps(event) + "\n" for event in kept))


def read_history(path: Path) -> list[dict[str, Any]]:
    """All whole lines; a line that a crash cut short is left out."""
    if not path.is_file():
        return []
    events = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            events.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return events
