"""One process at a time writes into a run's folder: a lock file that names the process and when it started.

The system's own lock on the file holds as long as the process lives, so nothing stays locked after a crash; where a file
system has no such locks, the process that the file names is looked for.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from tunewright.core.errors import UserError
from tunewright.core.processes import identity, lives

LOCK = "lock.json"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder; UserError names the process that holds it already. The lock of a dead process is taken over."""
    path = folder / LOCK
    with _opened(path) as file:
        file.seek(0)
        file.truncate()
        json.dump(identity(), file)
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _opened(path: Path) -> TextIO:
    """The lock file, locked; again where another process removed it between opening and locking."""
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            own = _try(file)
            holder = _holder(file)
            if own is False or (holder is not None and lives(holder)):  # of another machine's only the system knows
                raise _taken(path, holder)
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _try(file: TextIO) -> bool | None:
    """Whether the system gave its lock; None where it has none."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _holder(file: TextIO) -> dict[str, Any] | None:
    file.seek(0)
    try:
        found: dict[str, Any] = json.loads(file.read())
        return found if isinstance(found, dict) and isinstance(found.get("pid"), int) else None
    except ValueError:  # empty, or its writer died in the middle
        return None


def _taken(path: Path, holder: dict[str, Any] | None) -> UserError:
    who = "another process" if holder is None else f"process {holder['pid']} on {holder.get('host')}"
    return UserError(
        f"{who} is working in '{path.parent}'",
        expected="one process for each run's folder",
        try_="another --out, or wait until it has ended",
    )
