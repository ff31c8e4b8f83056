"""Ctrl-C and SIGTERM wait for the end of a step, so that what is saved is a moment that was."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """The run was asked to end and has saved where it was."""


class Asked:
    """Whether an end was asked for; a second signal ends at once."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None


@contextmanager
def waiting_for_the_step() -> Iterator[Asked]:
    """Turn the first SIGINT or SIGTERM into a flag; outside the main thread signals stay as they are."""
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.signal = number

    former = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
