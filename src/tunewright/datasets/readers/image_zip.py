"""A zip archive of a folder per class with images or sounds, read without unpacking.

Source: PKWARE's .ZIP File Format Specification; the layout of image_folder.
When: a data set that comes as one archive.
When not: a table with pictures in an archive beside it: name them 'pictures.zip/a.jpg' in the table.
Relatives: image_folder.
"""

from __future__ import annotations

from pathlib import Path

from tunewright.datasets.formats.archives import members
from tunewright.datasets.formats.class_folders import splits_of, the_train_part
from tunewright.datasets.table import Table

SUFFIXES = (".zip",)


def read_splits(path: Path) -> dict[str, Table]:
    return splits_of(members(path), str(path), f"{path.name}/")


def read(path: Path) -> Table:
    """The rows of the split 'train', or of the only one; files are counted from 1 in the order of their names."""
    return the_train_part(read_splits(path))
