"""Ctrl-C and SIGTERM wait for the end of a step, so that what is saved is a moment that was."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """An end was asked for by a signal; while training, where it was has been saved."""

    def __init__(self, signal: int, said: str = "") -> None:
        super().__init__(said)
        self.signal = signal


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

    def note(number: int, frame: FrameType | None) -> None:
        if asked:
            raise Interrupted(number)
        asked.signal = number

    with _handling((signal.SIGINT, signal.SIGTERM), note):
        yield asked


@contextmanager
def ending_on_term() -> Iterator[None]:
    """SIGTERM ends what is inside as Ctrl-C does: by an exception, so that everything is left in order."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    with _handling((signal.SIGTERM,), end):
        yield


@contextmanager
def _handling(numbers: Iterable[signal.Signals], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """A handler for some signals; outside the main thread signals stay as they are."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler_before in former.items():
            signal.signal(number, handler_before)
