"""Room for encoded pictures or sounds: memory up to a budget, beyond it a file whose pages are read when asked for.

Source: mmap(2). When: more than memory should hold. When not: anything smaller, which is faster in memory.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from tunewright.core.errors import UserError

MEMORY = 2 * 2**30  # bytes kept in memory: 14,000 pictures of 224 x 224 (a guess)


def room(shape: tuple[int, ...], dtype: np.typing.DTypeLike, *, memory: int = MEMORY, folder: Path | None = None) -> np.ndarray:
    """A writable array of zeros; above ``memory`` bytes it lies in a file of ``folder`` (default: the system's temporary one).

    The file has no name: the system removes it with the last array that reads it, however the process ends.
    """
    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if size <= memory:
        return np.zeros(shape, dtype=dtype)
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder, buffering=0) as file:
            if hasattr(os, "posix_fallocate"):  # a full disk is noticed here, not as a crash on some later page
                os.posix_fallocate(file.fileno(), 0, size)
            file.truncate(size)
            pages = mmap.mmap(file.fileno(), size)
    except OSError as error:
        raise UserError(
            f"{size:,} bytes cannot be kept in {folder or 'the temporary folder'}: {error.strerror}",
            expected="a folder with room for the encoded rows",
            try_="TUNEWRIGHT_CACHE=/a/larger/disk tunewright fit …",
        ) from None
    return np.frombuffer(pages, dtype=dtype).reshape(shape)
