"""Callbacks for tests: every event as a dict, kept or handed to a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tunewright.core.types import TrainerControl
from tunewright.training.callback import Callback
from tunewright.training.events import Event


class Listener(Callback):
    """Calls a function with each event as a dict."""

    def __init__(self, function: Callable[[dict[str, Any]], TrainerControl | None]) -> None:
        self.function = function

    def handle(self, event: Event) -> TrainerControl | None:
        return self.function(event.to_dict())
