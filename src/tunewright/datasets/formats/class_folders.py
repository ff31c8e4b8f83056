"""Rows from the names of files that lie in one folder per class, with or without folders of splits above."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from tunewright.core.errors import UserError
from tunewright.core.types import Finding
from tunewright.datasets.table import Table, listed

IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"))
AUDIO_SUFFIXES = frozenset((".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff"))
SPLITS = {"training": "train", "testing": "test"} | {
    name: name for name in ("train", "test", "val", "valid", "validation", "dev")
}


@dataclass(frozen=True)
class _File:
    name: str  # as given
    parts: tuple[str, ...]  # folders below the top, then the file


def is_media(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES | AUDIO_SUFFIXES


def splits_of(names: Iterable[str], source: str, prefix: str = "") -> dict[str, Table]:
    """Tables with the columns image or audio and label, by split; what has none comes as 'train'.

    ``names`` are paths with ``/`` below the source and ``prefix`` is put before each. Hidden files, folders that start with an
    underline and files that are neither images nor sounds are left out and counted. A split without folders of classes has no
    label.
    """
    names = list(names)
    files = [_File(name, PurePosixPath(name).parts) for name in sorted(names) if is_media(name) and not _is_hidden(name)]
    if not files:
        raise UserError(f"{source} holds no images or sounds", expected="a folder for each class with files such as .jpg or .wav")
    files = _without_common_folder(files)
    column = _kind(files, source)
    left_out = len(names) - len(files)
    message = f"{source}: {left_out} files that are hidden, or neither images nor sounds, are left out"
    findings = (Finding("files_left_out", message, "note", count=left_out),) if left_out else ()
    tables = {}
    for split, members in _by_split(files, source).items():
        columns = {column: [prefix + file.name for file in members]}
        if all(len(file.parts) > 1 for file in members):
            columns["label"] = [file.parts[0] for file in members]
        elif any(len(file.parts) > 1 for file in members):
            loose = [file.name for file in members if len(file.parts) == 1]
            raise UserError(
                f"{source}: {len(loose)} files lie beside the folders of classes: {listed(loose)}",
                expected="every file in the folder of its class",
            )
        tables[split] = Table(columns, tuple(range(1, len(members) + 1)), source, "file", findings)
        findings = ()
    return tables


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "_")) for part in PurePosixPath(name).parts[:-1]) or PurePosixPath(name).name.startswith(".")


def _without_common_folder(files: list[_File]) -> list[_File]:
    """One folder around everything, as archives have it, says nothing."""
    while len({file.parts[0] for file in files}) == 1 and all(len(file.parts) > 2 for file in files):
        if files[0].parts[0].lower() in SPLITS:
            break
        files = [_File(file.name, file.parts[1:]) for file in files]
    return files


def _kind(files: list[_File], source: str) -> str:
    sounds = sum(PurePosixPath(file.name).suffix.lower() in AUDIO_SUFFIXES for file in files)
    if sounds not in (0, len(files)):
        raise UserError(f"{source} holds {len(files) - sounds} images and {sounds} sounds", expected="one kind in a data set")
    return "audio" if sounds else "image"


def _by_split(files: list[_File], source: str) -> dict[str, list[_File]]:
    tops = {file.parts[0] for file in files if len(file.parts) > 1}
    named = {top for top in tops if top.lower() in SPLITS}
    if not named:
        return {"train": files}
    if tops != named:
        raise UserError(
            f"{source} has the splits {listed(sorted(named))} beside {listed(sorted(tops - named))}",
            expected="either folders of splits or folders of classes",
        )
    found: dict[str, list[_File]] = {}
    for file in files:
        if len(file.parts) == 1:
            raise UserError(f"{source}: '{file.name}' lies beside the folders of splits", expected="every file in one of them")
        found.setdefault(SPLITS[file.parts[0].lower()], []).append(_File(file.name, file.parts[1:]))
    return found


def the_train_part(splits: dict[str, Table]) -> Table:
    """The split 'train', or the first."""
    return splits["train"] if "train" in splits else next(iter(splits.values()))
