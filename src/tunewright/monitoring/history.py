"""History: one JSON line per step, evaluation and stage, written as it happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

KEPT = ("step", "evaluation", "stage")


class History:
    """A watcher that appends events to ``history.jsonl``; a resumed run drops what comes after its checkpoint."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, event: dict[str, Any]) -> None:
        if event["kind"] == "start":
            self._cut(int(event.get("resumed_at", 0)))
        if event["kind"] in KEPT:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(event, allow_nan=False) + "\n")

    def _cut(self, step: int) -> None:
        """Keep one line per step: those that the checkpoint knows."""
        kept = [event for event in read_history(self.path) if event["step"] < step or (event["step"] == step and step > 0)]
        self.path.write_text("".join(json.dumps(event) + "\n" for event in kept), encoding="utf-8")


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
