"""A folder per class with images or sounds, or folders of splits with such folders inside.

Source: the layout of ImageNet (Deng et al. 2009) and Speech Commands (Warden 2018).
When: files sorted into classes by hand, or a published set of that layout.
When not: several labels for a file, or numbers: use a csv that names the files.
Relatives: image_zip, csv.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tunewright.datasets.formats.class_folders import is_media, splits_of, the_train_part
from tunewright.datasets.table import Table

SUFFIXES: tuple[str, ...] = ()  # a folder, known by what is in it


def recognizes(path: Path) -> bool:
    """Whether folders below hold images or sounds."""
    return path.is_dir() and any(is_media(name) and "/" in name for name in _files(path))


def read_splits(path: Path) -> dict[str, Table]:
    return splits_of(_files(path), str(path))


def read(path: Path) -> Table:
    """The rows of the split 'train', or of the only one; files are counted from 1 in the order of their names."""
    return the_train_part(read_splits(path))


def _files(path: Path) -> Iterator[str]:
    """All files below, as paths with '/'; folders that are links are not entered."""
    for folder, _, names in os.walk(path):
        below = Path(folder).relative_to(path)
        for name in names:
            yield (below / name).as_posix()
