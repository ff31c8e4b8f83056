"""What in the cache's folder is the cache's own; nothing else is counted or removed, whatever folder the user names.

An entry is a folder named by the SHA-256 of what its about.json tells. A draft is an entry that is being made, with the process
that makes it written inside. Either holds files of ours alone: a folder with anything else in it stays.
"""

from __future__ import annotations

import re
import secrets
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tunewright.core.errors import UserError
from tunewright.core.files import hash_json, read_object, write_json
from tunewright.core.processes import identity, lives

VALUES, ABOUT = "values.bin", "about.json"
MEASURED = ("format", "shape", "dtype", "sha256")  # what about.json tells besides that by which an entry is named
_MAKER = "maker.json"
_ENTRY = re.compile(r"[0-9a-f]{64}")
_DRAFT = re.compile(r"\.[0-9a-f]{16}-[a-z0-9_]{8}")
_FILE = re.compile(rf"{VALUES}|{ABOUT}|{_MAKER}|\.({ABOUT}|{_MAKER})\.[a-z0-9_]{{8}}\.tmp")
_ABANDONED = 24 * 3600.0  # seconds without a change after which a draft has no maker that could be asked (a guess)


def new_draft(folder: Path, key: str) -> Path:
    """A new folder for the entry of that key, still half-made."""
    draft = Path(tempfile.mkdtemp(prefix=f".{key[:16]}-", dir=folder))
    try:
        write_json(draft / _MAKER, identity())
    except OSError:
        remove(draft)
        raise
    return draft


def publish(draft: Path, place: Path) -> None:
    """A draft takes its place as an entry, by one rename; OSError where another run was first."""
    (draft / _MAKER).unlink()
    draft.rename(place)


def is_entry(path: Path) -> bool:
    """Whether a folder is a whole or damaged entry that its own about.json gives the name that it has."""
    if not _ENTRY.fullmatch(path.name) or not _holds_ours_alone(path):
        return False
    try:
        about = read_object(path / ABOUT)
        return hash_json({key: value for key, value in about.items() if key not in MEASURED}) == path.name
    except (UserError, OSError, ValueError):
        return False


def is_draft(path: Path) -> bool:
    return _DRAFT.fullmatch(path.name) is not None and _holds_ours_alone(path)


def is_abandoned(draft: Path) -> bool:
    """Whether nobody makes a draft any more: its process has ended, or cannot be asked and has changed nothing for a day."""
    try:
        alive = lives(read_object(draft / _MAKER))
    except (UserError, OSError):
        alive = None
    if alive is not None:
        return not alive
    return time.time() - max(path.stat().st_mtime for path in (draft, *draft.iterdir())) > _ABANDONED


def size(folder: Path) -> int:
    """Bytes of an entry's or a draft's files."""
    return sum(path.stat().st_size for path in folder.iterdir())


def remove(folder: Path) -> None:
    """Remove an entry or a draft, which is no entry from the first moment on; one that holds other files stays as it is."""
    if not _holds_ours_alone(folder):
        return
    with suppress(OSError):  # another run is removing it
        if _ENTRY.fullmatch(folder.name):
            folder = folder.rename(folder.with_name(f".{folder.name[:16]}-{secrets.token_hex(4)}"))
        for path in list(folder.iterdir()):
            path.unlink(missing_ok=True)
        folder.rmdir()


def _holds_ours_alone(path: Path) -> bool:
    try:
        held = list(path.iterdir()) if path.is_dir() and not path.is_symlink() else None
    except OSError:
        return False
    return held is not None and all(_FILE.fullmatch(one.name) and one.is_file() and not one.is_symlink() for one in held)
