"""A folder written by ``Dataset.save_to_disk`` or ``DatasetDict.save_to_disk`` of the ``datasets`` library.

Source: Lhoest et al. 2021, Datasets: A Community Library for NLP (Arrow tables on disk).
When: the data was prepared with ``datasets``; classes keep their names, splits are used as given.
When not: data for people to read: use csv or jsonl.
Relatives: parquet.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunewright.core.errors import UserError
from tunewright.datasets.formats.arrow import from_arrow
from tunewright.datasets.table import Table

SUFFIXES: tuple[str, ...] = ()  # a folder, known by the files that the library writes
MARKS = ("dataset_info.json", "dataset_dict.json")


def from_dataset(dataset: Any, source: str) -> Table:
    """A ``datasets.Dataset`` as a table, with the names of its classes instead of their numbers."""
    # A list of classes (several labels of a row) has the class as its inner feature.
    inner = {name: getattr(feature, "feature", feature) for name, feature in dataset.features.items()}
    names = {name: list(feature.names) for name, feature in inner.items() if type(feature).__name__ == "ClassLabel"}
    return from_arrow(dataset.with_format("arrow")[:], source, names)


def from_splits(loaded: Any, source: str) -> dict[str, Table]:
    """A dataset, or several under the names of their splits."""
    if hasattr(loaded, "features"):
        return {"train": from_dataset(loaded, source)}
    return {str(name): from_dataset(part, f"{source} ({name})") for name, part in loaded.items()}


def read_splits(path: Path) -> dict[str, Table]:
    from datasets import load_from_disk

    try:
        loaded = load_from_disk(str(path))
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).split("\n")[0][:200]
        raise UserError(f"{path} is not a whole folder of the datasets library: {reason}", try_="save it again") from None
    return from_splits(loaded, str(path))


def read(path: Path) -> Table:
    """The rows of the split 'train', or of the only one."""
    splits = read_splits(path)
    return splits["train"] if "train" in splits else next(iter(splits.values()))
