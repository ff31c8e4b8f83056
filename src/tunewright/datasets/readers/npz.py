"""NumPy's archive of arrays: images or sounds with their labels and other columns, never anything pickled.

Keys are understood by their parts: ``x``, ``images``, ``audio`` are the inputs; ``y``, ``labels`` the label; ``train``, ``val``
and ``test`` before or after name a split, and so does a column whose name ends in ``split``. Sounds are rows of an array, or one
long array with ``offsets``, and need a ``sample_rate``. Names of classes (``label_names``, ``words``) take the place of numbers.
Other arrays with one value per row become columns.

Source: the NPY format, version 1.0 to 3.0 (NumPy enhancement proposal 1); MedMNIST (Yang et al. 2023) for the keys of splits.
When: small pictures or sounds, kept in one file.
When not: pictures of unequal size: use image_folder.
Relatives: image_folder.
"""

from __future__ import annotations

import itertools
import re
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tunewright.core.errors import UserError
from tunewright.core.types import Finding
from tunewright.datasets.formats.archives import Member
from tunewright.datasets.formats.class_folders import SPLITS, the_train_part
from tunewright.datasets.table import Table, listed

SUFFIXES = (".npz",)

_LARGEST = 8 * 2**30  # bytes once unpacked (a guess: what a usual machine holds)
_WORDS = re.compile(r"[^a-z0-9]+")
_INPUTS = frozenset(["x", "image", "images", "img", "imgs", "data", "input", "inputs", "pixels"])
_SOUNDS = frozenset(["audio", "audios", "sound", "sounds", "waveform", "waveforms", "speech", "wav", "wavs"])
_LABELS = frozenset(["y", "label", "labels", "target", "targets", "class", "classes"])
_RATES = frozenset(("sample_rate", "sampling_rate", "rate", "sr"))
_NAMES = frozenset(["words", "names", "classes", "class_names", "label_names", "labels_names", "target_names", "categories"])
_Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class _Found:
    """What one split is made of, under names without the split's."""

    arrays: _Arrays
    shared: _Arrays  # arrays that name no split
    source: str


def read_splits(path: Path) -> dict[str, Table]:
    splits: dict[str, _Arrays] = {}
    shared: _Arrays = {}
    for key, array in _load(path).items():
        words = [word for word in _WORDS.split(key.lower()) if word]
        of_split = [SPLITS[word] for word in words if word in SPLITS]
        name = "_".join(word for word in words if word not in SPLITS)
        target = splits.setdefault(of_split[0], {}) if len(of_split) == 1 and name else shared
        name = name if target is not shared else "_".join(words)
        if name in target:
            raise UserError(f"{path} has two arrays that mean '{name}'", expected="one of each", try_=f"remove '{key}'")
        target[name] = array
    if not splits:
        return _divided(_table(_Found(shared, shared, str(path))))
    return {split: _table(_Found(arrays, shared, f"{path} ({split})")) for split, arrays in splits.items()}


def read(path: Path) -> Table:
    """The rows of the split 'train', or of the only one, counted from 1."""
    return the_train_part(read_splits(path))


def _load(path: Path) -> _Arrays:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            total = sum(entry.file_size for entry in entries)
            if total > _LARGEST:
                raise UserError(f"{path} unpacks to {total:,} bytes", expected=f"at most {_LARGEST:,}", try_="split it")
            for entry in entries:
                _refuse_header(path, archive, entry)
        with np.load(path, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        reason = str(error).split("\n")[0][:160]
        raise UserError(
            f"{path} is not a whole archive of plain arrays: {reason}", try_="write it again with numpy.savez"
        ) from None


def _refuse_header(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """An array that declares more than its entry holds would be given room for it first; objects are pickles."""
    member = Member(path, entry.filename)
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = reader(file)
        header = file.tell()
    if dtype.hasobject:
        raise UserError(f"{member} holds Python objects, which only a program can read", expected="numbers or text")
    declared = header + int(np.prod(shape, dtype=object)) * dtype.itemsize
    if declared != entry.file_size:
        raise UserError(f"{member} declares {declared:,} bytes and holds {entry.file_size:,}", expected="a whole array")


def _table(found: _Found) -> Table:
    column, cells, used = _inputs(found)
    count = len(cells)
    columns: dict[str, list[Any]] = {column: cells}
    rest = {name: array for name, array in found.arrays.items() if name not in used}
    names = {name: array for name, array in (found.shared | rest).items() if array.ndim == 1 and array.dtype.kind == "U"}
    spare = {name for name, array in names.items() if len(array) != count}
    for name, array in rest.items():
        label = name in _LABELS and name not in spare
        if label and len(np.atleast_1d(array)) != count:
            raise UserError(f"{found.source}: {len(array)} labels and {count} {column}s", expected="one for each")
        if name in spare or array.ndim == 0 or len(array) != count:
            continue
        title = "label" if label and "label" not in columns else name
        values = _values(array)
        if values is not None:
            columns[title] = _named(values, title, array, names, spare)
            used |= {name}
    unused = sorted(set(rest) - used - spare - _RATES)
    message = f"{found.source}: arrays that have not one value for each of {count} rows are not used: {listed(unused)}"
    findings = (Finding("arrays_unused", message, "note", count=len(unused)),) if unused else ()
    return Table(columns, tuple(range(1, count + 1)), found.source, "row", findings)


def _values(array: np.ndarray) -> list[Any] | None:
    """One value for each row; of a table of 0 and 1 the numbers of its ones."""
    if array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1):
        flat: list[Any] = array.reshape(-1).tolist()
        return flat
    if array.ndim == 2 and array.dtype.kind in "biu" and array.max(initial=0) <= 1:
        return [np.flatnonzero(row).tolist() for row in array]
    return None


def _named(values: list[Any], title: str, array: np.ndarray, names: _Arrays, spare: set[str]) -> list[Any]:
    """Numbers of classes replaced by their names, where the file has them."""
    if array.dtype.kind not in "iu" or not len(values) or isinstance(values[0], list):
        return values
    own = [name for name in spare if name in (f"{title}_names", f"{title}s")]
    general = [name for name in spare if name in _NAMES] if title == "label" else []
    for name in own + general:
        if int(array.min()) >= 0 and int(array.max()) < len(names[name]):
            return [str(names[name][value]) for value in values]
    return values


def _inputs(found: _Found) -> tuple[str, list[Any], set[str]]:
    """The column's name, its cells, and the arrays that went into it."""
    sounds = [name for name in found.arrays if name in _SOUNDS]
    images = [name for name in found.arrays if name in _INPUTS]
    if len(sounds) + len(images) != 1:
        held = ", ".join(f"{name} {array.shape}" for name, array in found.arrays.items())
        raise UserError(
            f"{found.source} has {len(sounds) + len(images)} arrays of images or sounds; it holds {held}",
            expected="one named x, images or audio",
        )
    if sounds:
        return _sounds(found, sounds[0])
    array = found.arrays[images[0]]
    if array.ndim not in (3, 4):
        raise UserError(
            f"{found.source}: '{images[0]}' has the shape {array.shape}",
            expected="(n, height, width) or (n, height, width, channels)",
        )
    return "image", list(_eight_bits(array, f"{found.source}: '{images[0]}'")), {images[0]}


def _eight_bits(array: np.ndarray, said: str) -> np.ndarray:
    if array.dtype in (np.uint8, bool):
        return array
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        scaled: np.ndarray = np.rint(array * 255)
        return scaled.astype(np.uint8)
    if array.dtype.kind in "iuf" and low >= 0 and high <= 255 and (array == np.rint(array)).all():
        return array.astype(np.uint8)
    raise UserError(f"{said} holds values from {low:g} to {high:g}", expected="0 to 255, or 0 to 1 with decimals")


def _sounds(found: _Found, name: str) -> tuple[str, list[Any], set[str]]:
    arrays = found.shared | found.arrays
    rates = [int(arrays[key]) for key in sorted(_RATES & set(arrays)) if arrays[key].ndim == 0]
    if len(rates) != 1:
        raise UserError(f"{found.source} does not say the rate of its sounds", expected="a number 'sample_rate'")
    array = arrays[name]
    if array.ndim == 2:
        clips = list(array)
    elif array.ndim == 1 and "offsets" in arrays:
        offsets = arrays["offsets"].astype(np.int64)
        if offsets.ndim != 1 or len(offsets) < 2 or offsets[0] < 0 or offsets[-1] > len(array) or (np.diff(offsets) < 0).any():
            raise UserError(
                f"{found.source}: 'offsets' do not cut the {len(array):,} samples of '{name}'", expected="n + 1 rising places"
            )
        clips = [array[start:end] for start, end in itertools.pairwise(offsets)]
    else:
        raise UserError(
            f"{found.source}: '{name}' has the shape {array.shape}", expected="(n, samples), or samples and 'offsets'"
        )
    return "audio", [{"array": clip, "sampling_rate": rates[0]} for clip in clips], {name, "offsets"}


def _divided(table: Table) -> dict[str, Table]:
    """By a column that names each row's split, if there is one."""
    for name, values in table.columns.items():
        if name.endswith("split") and all(isinstance(value, str) and value.lower() in SPLITS for value in values):
            found: dict[str, list[int]] = {}
            for row, value in enumerate(values):
                found.setdefault(SPLITS[value.lower()], []).append(row)
            return {split: replace(table.select(rows), source=f"{table.source} ({split})") for split, rows in found.items()}
    return {"train": table}
