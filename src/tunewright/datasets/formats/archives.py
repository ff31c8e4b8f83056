"""Files inside a zip archive, read one at a time and never unpacked to disk.

Source: PKWARE's .ZIP File Format Specification, sections 4.3 and 4.4.
When: a data set of many small files that comes as one. When not: an archive of archives.
"""

from __future__ import annotations

import stat
import zlib
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile, ZipFile, ZipInfo

from tunewright.core.errors import UserError, nearest
from tunewright.datasets.table import listed

LARGEST_FILE = 256 * 2**20  # bytes of one file once unpacked; far above a picture or a clip (a guess)
_SMALL = 2**30  # bytes of all files that any archive may hold
_MOST_TIMES = 100  # its own size that a larger one may unpack to; pictures and sounds do not shrink (a guess)
_MOST_FILES = 2**20  # entries; ImageNet's training part has 1.3 million, in folders (a guess)


@dataclass(frozen=True)
class Member:
    """One file of an archive."""

    archive: Path
    name: str

    def __str__(self) -> str:
        return f"{self.archive}/{self.name}"

    def read(self) -> bytes:
        """Its content; a damaged one is a ``UserError``."""
        archive = _opened(self.archive)
        try:
            return archive.read(self.name)
        except KeyError:
            raise UserError(
                f"{self.archive} holds no '{self.name}'", nearest=nearest(self.name, archive.namelist()[:_MOST_FILES])
            ) from None
        except (BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            raise UserError(f"{self} is damaged: {error}", try_="download the archive again") from None


def members(path: Path) -> list[str]:
    """Names of all files of an archive, in its order; one that is unsafe to read is a ``UserError``."""
    return [entry.filename for entry in _opened(path).infolist() if not entry.is_dir()]


def _opened(path: Path) -> ZipFile:
    try:
        state = path.stat()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    return _open(path.absolute(), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)  # the list of a large archive takes long to read
def _open(path: Path, changed: int, size: int) -> ZipFile:
    try:
        archive = ZipFile(path)
    except (BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UserError(f"{path} is not a whole zip archive: {error}", try_="download it again") from None
    try:
        _refuse_unsafe(path, archive.infolist())
    except UserError:
        archive.close()
        raise
    return archive


def _refuse_unsafe(path: Path, entries: list[ZipInfo]) -> None:
    if len(entries) > _MOST_FILES:
        raise UserError(f"{path} has {len(entries):,} entries", expected=f"at most {_MOST_FILES:,}", try_="unpack it")
    whole, most = sum(entry.file_size for entry in entries), max(_SMALL, _MOST_TIMES * path.stat().st_size)
    if whole > most:
        raise UserError(
            f"{path} says that it unpacks to {whole:,} bytes",
            expected=f"at most {most:,}, {_MOST_TIMES} times its size",
            try_="unpack it",
        )
    doubled = [name for name, count in Counter(entry.filename for entry in entries).items() if count > 1]
    if doubled:
        raise UserError(f"{path} has two files of one name: {listed(map(repr, doubled))}", expected="each name once")
    alike = [name for name, count in Counter(entry.filename.casefold() for entry in entries).items() if count > 1]
    if alike:
        raise UserError(
            f"{path} has two files whose names differ in case alone: {listed(map(repr, alike))}", expected="names that differ"
        )
    for entry in entries:
        fault = _fault(entry)
        if fault:
            raise UserError(f"{path}: '{entry.filename[:200]}' {fault}", expected="plain files at relative paths")


def _fault(entry: ZipInfo) -> str | None:
    name = entry.orig_filename
    if "\0" in name or "\\" in name:
        return "has a NUL or a backslash in its name"
    if name.startswith("/") or ".." in name.split("/") or name[1:2] == ":":
        return "leads out of the archive"
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if stat.S_ISLNK(kind):
        return "is a symbolic link"
    if kind and not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
        return "is a device or another special file"
    if entry.flag_bits & 1:
        return "is encrypted"
    if entry.file_size > LARGEST_FILE:
        return f"unpacks to {entry.file_size:,} bytes, more than {LARGEST_FILE:,}"
    return None
