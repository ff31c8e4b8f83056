"""Storages that die, fail or wait at a chosen operation, to be put under a checkpoint."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Literal

from tunewright.core.storage import DISK, Storage

Moment = Literal["before", "middle", "after"]  # of the operation; the middle of a write is when half of it is there
When = Callable[[int, str, Path], Moment | None]


def disturbed(when: When, act: Callable[[Path], None]) -> Storage:
    """The disk, on which ``act`` happens at the moments that ``when(number, operation, path)`` names."""
    numbers = count()

    def around(operation: str, path: Path, do: Callable[[], None], half: Callable[[], None]) -> None:
        moment = when(next(numbers), operation, path)
        if moment == "middle":
            half()
        if moment in ("before", "middle"):
            act(path)
        do()
        if moment == "after":
            act(path)

    def nothing() -> None:
        pass

    return Storage(
        make_folder=lambda path: around("make_folder", path, lambda: DISK.make_folder(path), nothing),
        write=lambda path, content: around("write", path, lambda: DISK.write(path, content), lambda: _half(path, content)),
        sync_folder=lambda path: around("sync_folder", path, lambda: DISK.sync_folder(path), nothing),
        rename=lambda path, target: around("rename", path, lambda: DISK.rename(path, target), nothing),
        remove=lambda path: around("remove", path, lambda: DISK.remove(path), nothing),
    )


def _half(path: Path, content: bytes) -> None:
    path.write_bytes(content[: len(content) // 2])


def die(_: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(number: int) -> Callable[[Path], None]:
    """What the system says with an error's number."""

    def refused(path: Path) -> None:
        raise OSError(number, os.strerror(number), str(path))

    return refused


def at_step(step: int, operation: str, name: str = "", moment: Moment = "before") -> When:
    """An operation on the file ``name`` of the checkpoint of one step, or on its folder."""

    def when(_: int, done: str, path: Path) -> Moment | None:
        folder = path.parent if name else path
        mine = done == operation and folder.name.lstrip(".").split(".")[0] == f"step-{step}"
        return moment if mine and (not name or path.name == name) else None

    return when


def nth(wanted: int, moment: Moment) -> When:
    return lambda number, _, __: moment if number == wanted else None


def in_rotation(place: int) -> When:
    """The ``place``-th operation of removing an old checkpoint."""
    seen: Iterator[int] = count()

    def when(_: int, operation: str, path: Path) -> Moment | None:
        rotating = operation == "remove" or (operation == "rename" and not path.name.startswith("."))
        return "before" if rotating and next(seen) == place else None

    return when
