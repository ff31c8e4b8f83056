"""Files and folders that a user names to be written: one rule for all of them, asked before anything is computed.

A file is a regular one, or none yet. A link is followed: it stays, and what it leads to is replaced. Nothing is written inside
the folder of a run or a saved model, whose files are known by their hashes.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tunewright.core.errors import UserError
from tunewright.core.files import read_object, write_bytes
from tunewright.core.paths import refuse_address

MANIFEST, MODEL = "manifest.json", "tunewright.json"
_TELLS = (frozenset(("status", "created", "strategy")), frozenset(("schema", "step", "files")))  # a run's, a checkpoint's
_KINDS = {stat.S_IFDIR: "folder", stat.S_IFCHR: "device", stat.S_IFBLK: "device", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
_EXPECTED = "a regular file, or a name that is free"


def write_output(path: str | Path, content: bytes) -> None:
    """Write a file that a user named, whole or not at all; UserError where ``output_file`` refuses it."""
    write_bytes(output_file(path), content)


def output_file(path: str | Path) -> Path:
    """Where the file that a user named is to be written, links followed; UserError where that must not or cannot be."""
    refuse_address(path, "the file to write")
    try:
        named = Path(path).expanduser()
        target = named.resolve()
        _refuse_inside(named.parent.resolve() / named.name)
        _refuse_inside(target)
        _refuse_kind(named, target)
    except (OSError, RuntimeError) as error:  # a link that leads back to itself, a file where a folder should be, no rights
        raise UserError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}", expected=_EXPECTED) from None
    return target


def check_output_folder(folder: Path) -> None:
    """UserError where the folder that a user named is something else, or lies inside that of a run."""
    refuse_address(folder, "the run's folder")
    try:
        if folder.is_symlink() and not folder.exists():
            raise UserError(f"'{folder}' is a link that leads nowhere", expected="a folder, or a name that is free")
        if folder.exists() and not folder.is_dir():
            raise UserError(f"'{folder}' is a {_kind(folder)}", expected="a folder that does not exist yet")
        _refuse_inside(folder.resolve())
    except (OSError, RuntimeError) as error:
        raise UserError(f"'{folder}' cannot be a folder: {getattr(error, 'strerror', None) or error}") from None


def _refuse_kind(named: Path, target: Path) -> None:
    if not named.exists():
        folder = next(parent for parent in target.parents if parent.exists())
    elif not stat.S_ISREG(named.stat().st_mode):
        raise UserError(f"{named} is a {_kind(named)}, and would be replaced by a file", expected=_EXPECTED)
    elif not target.exists() or not target.samefile(named):
        raise UserError(f"{named} leads to a file that has no name any more", expected=_EXPECTED)
    else:
        folder = target.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(
            f"{named} cannot be written: nothing can be made in '{folder}'", expected="a folder with the right to write"
        )


def _kind(path: Path) -> str:
    return _KINDS.get(stat.S_IFMT(path.stat().st_mode), "file")


def _refuse_inside(path: Path) -> None:
    for folder in path.parents:
        if holds_ours(folder):
            raise UserError(
                f"{path} lies in '{folder}', the folder of a run or a saved model, which is known by what it holds",
                expected="a place outside of it",
            )


def holds_ours(folder: Path) -> bool:
    """Whether a folder is that of a run, a checkpoint or a saved model; a damaged manifest beside a recipe is a run's, too."""
    try:
        if (folder / MODEL).is_file():
            return True
        if not (folder / MANIFEST).is_file():
            return False
        return any(told <= set(read_object(folder / MANIFEST)) for told in _TELLS)
    except UserError:
        return (folder / "recipe.yaml").is_file()
    except OSError:  # what may not be read is not ours
        return False
