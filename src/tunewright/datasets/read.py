"""Read a table from wherever the user has it: a file, a folder, the hub, or Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunewright.core.errors import UserError, nearest
from tunewright.core.paths import refuse_address
from tunewright.core.registry import list_parts, load_part
from tunewright.datasets.formats.decoding import PACKED
from tunewright.datasets.in_memory import from_python
from tunewright.datasets.readers import datasets_folder
from tunewright.datasets.table import Table

_TEXTS = (".csv", ".tsv", ".json", ".jsonl", ".txt")  # formats that may come packed
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def _reader_of(path: Path) -> Any:
    suffixes: dict[str, Any] = {}
    for part in list_parts("readers"):
        reader = load_part("readers", part.name)
        suffixes.update(dict.fromkeys(reader.SUFFIXES, reader))
    packed = path.suffix.lower() == PACKED
    suffix = Path(path.stem).suffix if packed else path.suffix
    found = suffixes.get(suffix.lower())
    if found is None or (packed and suffix.lower() not in _TEXTS):
        raise UserError(
            f"{path}: files that end in '{path.suffix}' cannot be read",
            expected=f"one of {', '.join(sorted(suffixes))}, texts also packed: {', '.join(_TEXTS)} with {PACKED}",
            nearest=nearest(path.suffix, suffixes),
            try_=f"gunzip -k {path.name}" if packed else "",
        )
    return found


def _read_hub(name: str) -> dict[str, Table]:
    from datasets import load_dataset

    try:
        loaded = load_dataset(name)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise UserError(
            f"'{name}' is neither a path here nor a data set that the hub gave us: {reason}",
            expected="a file, a folder saved by the datasets library, or a hub id while online",
            try_="give the path of a file, or connect to the network",
        ) from None
    return datasets_folder.from_splits(loaded, name)


def _recognizing(path: Path) -> Any | None:
    """The reader that knows a path by what is in it rather than by its suffix: the first by name, boxes before images."""
    readers = (load_part("readers", part.name) for part in list_parts("readers"))
    return next((reader for reader in readers if hasattr(reader, "recognizes") and reader.recognizes(path)), None)


def _missing(path: Path) -> UserError:
    siblings = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
    return UserError(
        f"{path} does not exist", expected="a file, a folder, or a hub id 'owner/name'", nearest=nearest(path.name, siblings)
    )


def read_splits(source: Any) -> dict[str, Table]:
    """Every split of a source; what has no named splits comes as 'train'."""
    if not isinstance(source, (str, Path)):
        return from_python(source)
    refuse_address(source, "the data")
    path = Path(source)
    if path.is_dir() and any((path / mark).is_file() for mark in datasets_folder.MARKS):
        return datasets_folder.read_splits(path)
    if path.exists():
        reader = _recognizing(path)
        if reader is None and path.is_dir():
            inside = nearest("train.csv", [item.name for item in path.iterdir()])
            raise UserError(
                f"{path} is a folder that the datasets library did not save, without folders of images or sounds",
                expected="a file, a folder from save_to_disk, or a folder for each class",
                try_=f"{path / inside}" if inside else "",
            )
        reader = reader or _reader_of(path)
        found: dict[str, Table] = reader.read_splits(path) if hasattr(reader, "read_splits") else {"train": reader.read(path)}
        return found
    if _HUB_ID.fullmatch(str(source)) and not path.suffix and not path.parent.is_dir():
        return _read_hub(str(source))
    raise _missing(path)


def the_train_split(splits: dict[str, Table], name: str) -> Table:
    """The only split of a source, or the one called 'train'."""
    if "train" not in splits and len(splits) > 1:
        raise UserError(
            f"{name} has the splits {', '.join(splits)} and none is called 'train'", try_="save the one you mean as a file"
        )
    return splits["train"] if "train" in splits else next(iter(splits.values()))


def read_table(source: Any, *wanted: str) -> Table:
    """One table: of several splits the first of ``wanted`` that is there, else the one to train on."""
    splits = read_splits(source)
    found = next((splits[name] for name in wanted if name in splits), None)
    name = str(source) if isinstance(source, (str, Path)) else "the data set"
    return the_train_split(splits, name) if found is None else found


def read_pieces(path: Path, size: int) -> Iterator[Table]:
    """A file's rows in tables of at most ``size`` rows, for files larger than memory; only formats with rows in sequence."""
    if not path.exists():
        raise _missing(path)
    reader: Any = None if path.is_dir() else _reader_of(path)
    if not hasattr(reader, "pieces"):
        can = sorted(suffix for part in list_parts("readers") for suffix in _streamed_suffixes(part.name))
        raise UserError(
            f"{path} cannot be read in pieces",
            expected=f"a file that ends in {', '.join(can)}",
            try_="--set data.streaming=false",
        )
    found: Iterator[Table] = reader.pieces(path, size)
    return found


def _streamed_suffixes(name: str) -> tuple[str, ...]:
    reader = load_part("readers", name)
    return tuple(reader.SUFFIXES) if hasattr(reader, "pieces") else ()
