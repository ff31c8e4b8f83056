"""Which processes live, and since when: a number alone may have been given to another one since."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def is_alive(pid: int) -> bool:
    """Whether a process of that number is there and has not ended."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return _field(pid, 0) != "Z"  # ended, and not yet noticed by its parent


def started(pid: int) -> str | None:
    """When a process started, in the system's ticks since it booted; None where the system does not say."""
    return _field(pid, 19)


def identity() -> dict[str, Any]:
    """What tells this process from every other one, as JSON holds it."""
    return {"pid": os.getpid(), "started": started(os.getpid()), "host": platform.node()}


def lives(told: Mapping[str, Any]) -> bool | None:
    """Whether the very process with this ``identity`` is alive; None where it is no process of this machine."""
    pid = told.get("pid")
    if told.get("host") != platform.node() or not isinstance(pid, int):
        return None
    return is_alive(pid) and started(pid) == told.get("started")


def _field(pid: int, number: int) -> str | None:
    """A field of /proc/<pid>/stat after the command's name, which may hold anything."""
    try:
        said = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = said.rpartition(")")[2].split()
    return fields[number] if number < len(fields) else None
