"""Token ids kept in files instead of memory: read as arrays whose pages come from disk when they are asked for.

Source: mmap(2). When: more rows than memory holds. When not: anything smaller, which is faster in memory.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np

from tunewright.core.errors import UserError
from tunewright.modalities.text.modality import Encoded


def on_disk(parts: Iterable[Encoded], folder: Path) -> Encoded:
    """The rows of all parts, in their order; only their lengths stay in memory.

    The files lie in ``folder`` and have no name: the system removes them with the last array that reads them, however the
    process ends.
    """
    lengths, truncated = [], 0
    with _nameless(folder) as ids, _nameless(folder) as segments:
        for part in parts:
            _append(ids, part.ids, folder)
            if part.segments is not None:
                _append(segments, part.segments, folder)
            lengths.append(part.lengths)
            truncated += part.truncated
        kinds = _mapped(segments, np.uint8) if segments.tell() else None
        return Encoded(_mapped(ids, np.int32), kinds, np.concatenate(lengths), truncated, part.pad_id, part.side)


def _nameless(folder: Path) -> IO[bytes]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return TemporaryFile(dir=folder, buffering=0)
    except OSError as error:
        raise _no_room(folder, error) from None


def _append(file: IO[bytes], values: np.ndarray, folder: Path) -> None:
    left = memoryview(np.ascontiguousarray(values)).cast("B")  # type: ignore[arg-type]
    try:
        while left:
            left = left[file.write(left) :]
    except OSError as error:
        raise _no_room(folder, error) from None


def _mapped(file: IO[bytes], dtype: Any) -> np.ndarray:
    return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype=dtype)


def _no_room(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"token ids cannot be kept in {folder}: {error.strerror}",
        expected="a folder with room for about as many bytes as the rows' file has",
        try_="TUNEWRIGHT_CACHE=/a/larger/disk tunewright fit …",
    )
