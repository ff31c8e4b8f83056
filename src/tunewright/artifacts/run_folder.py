"""Where a run lives: a new folder, or that of a run of the same recipe that did not end."""

from __future__ import annotations

import re
import shutil
from itertools import count
from pathlib import Path

from tunewright.artifacts.lock import LOCK
from tunewright.core.errors import UserError
from tunewright.core.files import read_json
from tunewright.core.outputs import check_output_folder

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_HALF_WRITTEN = re.compile(r"\..+\.[a-z0-9_]{8}\.tmp|\.model\.[a-z0-9_]{8}(\.old)?")


def new_folder(out: str | None, hint: str) -> Path:
    """Make the folder of a run: ``out`` as given, or runs/<hint>-<first free number>."""
    if out is None:
        stem = re.sub(r"[^A-Za-z0-9]+", "-", hint).strip("-").lower()[:48] or "run"
        return _first_free(Path("runs"), stem)
    folder = Path(out).expanduser()
    check_free(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def check_free(folder: Path) -> None:
    """Raise UserError when ``folder`` can neither become a new run's folder nor holds a run that could be continued."""
    check_output_folder(folder)
    if not _NAME.fullmatch(folder.name):
        raise UserError(
            f"'{folder.name}' cannot name a run",
            expected="letters, digits, '.', '_' and '-', at most 64, not starting with '.' or '-'",
        )
    only_begun = (folder / LOCK).is_file() and not (folder / "manifest.json").is_file()  # it died before it held anything
    if folder.is_dir() and any(folder.iterdir()) and not only_begun and not is_unfinished(folder):
        raise UserError(
            f"the folder '{folder}' already holds {'a finished run' if (folder / 'manifest.json').is_file() else 'something'}",
            expected="a folder that does not exist yet, is empty, or holds an interrupted run of the same recipe",
            try_="another --out, or remove the folder",
        )


def is_unfinished(folder: Path) -> bool:
    """Whether the folder holds a run that was interrupted or failed."""
    return (folder / "recipe.yaml").is_file() and _status(folder) not in (None, "done")


def clear_half_written(folder: Path) -> None:
    """Remove the files that a process which died was writing; only for who holds the folder's lock."""
    for path in list(folder.iterdir()):
        if _HALF_WRITTEN.fullmatch(path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _status(folder: Path) -> str | None:
    try:
        return str(read_json(folder / "manifest.json")["status"])
    except (UserError, KeyError, TypeError):
        return None


def _first_free(root: Path, stem: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        folder = root / f"{stem}-{number}"
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError("count() does not end")
