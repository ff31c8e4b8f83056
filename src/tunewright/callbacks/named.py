"""The callbacks that a recipe names, ready to be called."""

from __future__ import annotations

from collections.abc import Iterable

from tunewright.callbacks.tracker import Guarded, Tracker
from tunewright.config.recipe import Choice
from tunewright.core.registry import load_part
from tunewright.training.callback import Callback, checked


def named_callbacks(choices: Iterable[Choice]) -> tuple[Callback, ...]:
    """One callback per choice, trackers guarded; UserError where a library is missing, before anything is read or trained."""
    made = []
    for choice in choices:
        part = load_part("callbacks", choice.name)
        callback = part.callback(part.Settings(**choice.settings))
        made.append(Guarded(callback) if isinstance(callback, Tracker) else callback)
    return checked(made)
