"""Storage: the few things that saving does to a disk, as one value, so that a test can put a failing one in its place."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tunewright.core.files import sync_folder


@dataclass(frozen=True)
class Storage:
    """Five operations; each raises OSError when the system refuses it."""

    make_folder: Callable[[Path], None]
    write: Callable[[Path, bytes], None]  # a new file, on the disk when it returns
    sync_folder: Callable[[Path], None]  # names made in a folder survive a power cut when it returns
    rename: Callable[[Path, Path], None]
    remove: Callable[[Path], None]  # a file, or an empty folder


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)  # less the umask
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _remove(path: Path) -> None:
    path.rmdir() if path.is_dir() else path.unlink()


def _rename(path: Path, target: Path) -> None:
    path.rename(target)


DISK = Storage(make_folder=Path.mkdir, write=_write, sync_folder=sync_folder, rename=_rename, remove=_remove)
