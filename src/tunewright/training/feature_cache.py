"""FeatureCache: arrays that took the network to make, kept in memory and on disk, so that the next run need not make them.

An entry is a folder named by the hash of everything that decides its content. It appears whole, by one rename, with its
own hash beside it: a damaged entry is removed and made again, and two runs may make the same one at once. What else lies in
the cache's folder is left alone (``feature_folder``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from tunewright.core.errors import UserError
from tunewright.core.files import bytes_of, hash_file, hash_json, read_json, write_json
from tunewright.training import feature_folder
from tunewright.training.feature_folder import ABOUT, VALUES

_FORMAT = 1
_HASHED_SO_FAR: dict[Path, tuple[int, int]] = {}  # (time of change, size) of files whose hash was right in this process


def default_folder() -> Path:
    """Where entries are kept on disk: $TUNEWRIGHT_CACHE, else the user's cache folder (XDG Base Directory Specification)."""
    named = os.environ.get("TUNEWRIGHT_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(named) if named else Path(base) / "tunewright" / "features"


@dataclass
class Draft:
    """An entry that is being made: fill ``values``, then ``FeatureCache.keep`` it or ``drop`` it."""

    key: str
    about: dict[str, Any]
    values: Tensor
    folder: Path | None  # of the half-made entry; None where it is for this process only

    def drop(self) -> None:
        if self.folder is not None:
            feature_folder.remove(self.folder)


@final
class FeatureCache:
    """Entries of at most ``memory`` bytes in memory and ``disk`` bytes on disk, the ones unused longest leaving first."""

    def __init__(self, folder: Path | None = None, *, memory: int, disk: int) -> None:
        self.folder = folder or default_folder()
        self.memory, self.disk = memory, disk
        self.made = 0  # entries made, for tests
        self._held: dict[str, Tensor] = {}

    @property
    def room(self) -> int:
        """Bytes that the largest new entry may have."""
        return max(self.memory - self._bytes_held(), self.disk)

    def find(self, about: Mapping[str, Any]) -> Tensor | None:
        """The entry made from exactly this, or None."""
        key = hash_json(dict(about))
        if key not in self._held:
            entry = self.folder / key
            values = _read(entry, dict(about))
            if values is None:
                return None
            with suppress(OSError):  # another run has just removed it
                os.utime(entry)
            self._hold(key, values)
        return self._held[key]

    def draft(self, about: Mapping[str, Any], shape: tuple[int, ...], dtype: torch.dtype) -> Draft:
        """Room for a new entry: in memory where it fits, otherwise in a file that is mapped into memory."""
        key, size = hash_json(dict(about)), int(np.prod(shape)) * dtype.itemsize
        content = {**about, "format": _FORMAT, "shape": list(shape), "dtype": str(dtype).removeprefix("torch.")}
        folder = self._new_folder(key, size)
        if folder is None or size <= self.memory - self._bytes_held():
            return Draft(key, content, torch.empty(shape, dtype=dtype), folder)
        return Draft(key, content, _map(folder / VALUES, shape, dtype, new=True), folder)

    def keep(self, draft: Draft) -> Tensor:
        """Finish an entry; returns its values."""
        self.made += 1
        values = draft.values
        if draft.folder is not None:
            try:
                values = self._publish(draft)
            except OSError:
                draft.drop()
        self._held[draft.key] = values
        return values

    def _publish(self, draft: Draft) -> Tensor:
        assert draft.folder is not None
        path = draft.folder / VALUES
        if not path.exists():
            with path.open("wb") as file:
                file.write(bytes_of(draft.values))
        write_json(draft.folder / ABOUT, draft.about | {"sha256": hash_file(path)})
        final_place = self.folder / draft.key
        try:
            feature_folder.publish(draft.folder, final_place)
        except OSError:  # another run was first: its entry is as good
            draft.drop()
            return draft.values
        state = (final_place / VALUES).stat()
        _HASHED_SO_FAR[final_place / VALUES] = (state.st_mtime_ns, state.st_size)
        return draft.values

    def _hold(self, key: str, values: Tensor) -> None:
        """In memory if there is room, else as it is mapped from disk."""
        room = values.nbytes <= self.memory - self._bytes_held()
        self._held[key] = values.clone() if room else values

    def _bytes_held(self) -> int:
        return sum(values.nbytes for values in self._held.values())

    def _new_folder(self, key: str, size: int) -> Path | None:
        """A half-made entry's place on disk; None where it is not to be there, or cannot: that costs time, not the run."""
        if not 0 < size <= self.disk:
            return None
        try:
            self._make_room(size)
            return feature_folder.new_draft(self.folder, key)
        except OSError:
            return None

    def _make_room(self, size: int) -> None:
        """Remove abandoned drafts, and the entries unused longest until ``size`` more bytes are within the budget."""
        self.folder.mkdir(parents=True, exist_ok=True)
        used, entries = 0, []
        for path in list(self.folder.iterdir()):
            with suppress(OSError):  # another run is removing it
                if feature_folder.is_entry(path):
                    entries.append((path.stat().st_mtime, feature_folder.size(path), path))
                elif feature_folder.is_draft(path):
                    used += _kept(path)
        used += sum(held for _, held, _ in entries)
        for _, held, entry in sorted(entries, key=lambda one: one[0]):
            if used + size <= self.disk:
                break
            feature_folder.remove(entry)
            used -= held


def _kept(draft: Path) -> int:
    """Bytes of a draft that another run, or this one, is making; one that nobody makes any more is removed."""
    if feature_folder.is_abandoned(draft):
        feature_folder.remove(draft)
        return 0
    return feature_folder.size(draft)


def _read(entry: Path, about: dict[str, Any]) -> Tensor | None:
    """A whole entry's values; one that is not what its name says is removed, unless it holds files that are not the cache's."""
    if not entry.is_dir():
        return None
    path = entry / VALUES
    try:
        found = read_json(entry / ABOUT)
        digest = found.pop("sha256")
        shape, dtype = tuple(found.pop("shape")), getattr(torch, found.pop("dtype"))
        state = path.stat()
        stamp = (state.st_mtime_ns, state.st_size)
        whole = found == {**about, "format": _FORMAT} and stamp[1] == int(np.prod(shape)) * dtype.itemsize
        if whole and (_HASHED_SO_FAR.get(path) == stamp or hash_file(path) == digest):
            _HASHED_SO_FAR[path] = stamp
            return _map(path, shape, dtype, new=False)
    except (UserError, OSError, KeyError, TypeError, AttributeError, ValueError):
        pass
    feature_folder.remove(entry)
    return None


def _map(path: Path, shape: tuple[int, ...], dtype: torch.dtype, *, new: bool) -> Tensor:
    """A file's values as a tensor whose pages come from disk when they are read; changes reach the file only if it is new."""
    count = int(np.prod(shape))
    values = torch.from_file(str(path), shared=new, size=count, dtype=dtype)
    return values.view(shape)
