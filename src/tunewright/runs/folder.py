"""Where a run lives: a new folder, never one that already holds something."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

from tunewright.core.errors import UserError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")


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
    """Raise UserError when ``folder`` cannot become a new run's folder."""
    if not _NAME.fullmatch(folder.name):
        raise UserError(
            f"'{folder.name}' cannot name a run",
            expected="letters, digits, '.', '_' and '-', at most 64, not starting with '.' or '-'",
        )
    if folder.is_file():
        raise UserError(f"'{folder}' is a file", expected="a folder that does not exist yet")
    if folder.is_dir() and any(folder.iterdir()):
        continued = (folder / "checkpoints" / "index.json").is_file() and not (folder / "scores.json").is_file()
        raise UserError(
            f"the folder '{folder}' already holds {'an unfinished run' if continued else 'something'}",
            expected="a folder that does not exist yet or is empty",
            try_=f"tunewright resume {folder}" if continued else "another --out, or remove the folder",
        )


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
