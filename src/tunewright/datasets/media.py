"""Pictures and sounds that a table's cells name: where their content is, and what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

from tunewright.core.errors import UserError, nearest, raise_all
from tunewright.core.files import hash_bytes
from tunewright.core.types import Finding
from tunewright.datasets.formats.archives import Member
from tunewright.datasets.table import Table, listed

Content = Path | Member | bytes
Level = Literal["note", "warning", "fault"]
Where = Callable[[Sequence[int]], str]
_T = TypeVar("_T")
_R = TypeVar("_R")
_MOST_THREADS = 8  # decoding releases the interpreter's lock; beyond this memory is the limit (a guess)

# What a file that is no picture or sound starts with.
_OTHER_KINDS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the data (git lfs pull)"),
    (b"<!doctype html", "a web page (HTML)"),
    (b"<html", "a web page (HTML)"),
    (b"%pdf", "a PDF document"),
    (b"pk\x03\x04", "a zip archive"),
    (b"{", "text (JSON)"),
)


class UnreadableError(Exception):
    """One picture or sound cannot be used; the message says why, without its name."""


def located(table: Table, name: str, own: Callable[[Any], Any]) -> list[Any]:
    """Each cell of a column as a path, a file of an archive, or bytes; what ``own`` takes (arrays) as it returns it.

    Paths are relative to the folder of the table's source; ``folder/pictures.zip/a.jpg`` is a file inside an archive. A file
    that a link below that folder leads out of it is refused. Cells of the datasets library, ``{"path", "bytes"}``, are read, too.
    """
    base = base_of(Path(table.source))
    found: list[Any] = []
    reasons: dict[str, list[int]] = {}
    known: dict[str, Content] = {}
    for row, cell in enumerate(table.column(name)):
        try:
            taken = own(cell)
            if taken is None and isinstance(cell, (str, Path)) and str(cell) in known:
                taken = known[str(cell)]
            elif taken is None:
                taken = _content(cell, base)
                if isinstance(cell, (str, Path)):
                    known[str(cell)] = taken
        except UnreadableError as error:
            reasons.setdefault(str(error), []).append(row)
            continue
        found.append(taken)
    raise_all([UserError(f"{table.where(rows)}: '{name}' {reason}") for reason, rows in _merged(reasons)])
    return found


def base_of(source: Path) -> Path:
    """The folder that a table's paths start from."""
    return source if source.is_dir() else source.parent


def _merged(reasons: dict[str, list[int]]) -> list[tuple[str, list[int]]]:
    """Many missing files are one fault: the first is named."""
    missing = [(reason, rows) for reason, rows in reasons.items() if reason.startswith("names a file that does not exist")]
    others = [(reason, rows) for reason, rows in reasons.items() if not reason.startswith("names a file that does not exist")]
    if len(missing) > 1:
        missing = [(missing[0][0], [row for _, rows in missing for row in rows])]
    return missing + others


def _content(cell: Any, base: Path) -> Content:
    if isinstance(cell, dict):
        cell = cell.get("bytes") or cell.get("path")
    if isinstance(cell, (bytes, Member)):
        return cell
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        raise UnreadableError("is empty")
    if not isinstance(cell, (str, Path)):
        raise UnreadableError(f"holds a {type(cell).__name__}, which is no path, bytes or array")
    return _find(str(cell), base)


def _find(cell: str, base: Path) -> Content:
    if "://" in cell:
        raise UnreadableError(f"names an address, '{cell}': download the files and name their paths")
    if "\0" in cell:
        raise UnreadableError("has a NUL in a path")
    path = Path(cell)
    full = path if path.is_absolute() else base / path
    if full.is_file():
        plain = not path.is_absolute() and ".." not in path.parts
        if plain and not full.resolve().is_relative_to(base.resolve()):
            raise UnreadableError(f"names '{cell}', a link that leads out of {base}: name the file itself")
        return full
    if full.is_dir():
        raise UnreadableError(f"names a folder, '{cell}'")
    for parent in full.parents:
        if parent.suffix.lower() == ".zip" and parent.is_file():
            return Member(parent, full.relative_to(parent).as_posix())
    siblings = [item.name for item in full.parent.iterdir()] if full.parent.is_dir() else []
    near = nearest(full.name, siblings)
    raise UnreadableError(f"names a file that does not exist: {full}" + (f" (did you mean '{near}'?)" if near else ""))


def opened(content: Content) -> Any:
    """A context with the content as a binary file; an empty one is ``UnreadableError``."""
    if isinstance(content, Path):
        try:
            if not content.stat().st_size:
                raise UnreadableError("is empty (0 bytes)")
            return content.open("rb")
        except OSError as error:
            raise UnreadableError(f"cannot be read: {error.strerror}") from None
    held = content.read() if isinstance(content, Member) else content
    if not held:
        raise UnreadableError("is empty (0 bytes)")
    return nullcontext(BytesIO(held))


def other_kind(file: BinaryIO, wanted: str) -> str:
    """What a file seems to be that is not ``wanted``."""
    file.seek(0)
    start = file.read(512)
    lowered = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for opening, kind in _OTHER_KINDS:
        if lowered.startswith(opening):
            return f"is {kind}, not {wanted}"
    plain = all(byte >= 32 or byte in b"\t\n\r\f" for byte in start)
    return f"is text, not {wanted}" if plain else f"is not {wanted} of a known format"


def each(work: Callable[[_T], _R], items: Sequence[_T]) -> list[_R | str]:
    """``work`` on every item in threads; the reason where it is ``UnreadableError``."""

    def tried(item: _T) -> _R | str:
        try:
            return work(item)
        except UnreadableError as error:
            return str(error)
        except UserError as error:  # a damaged archive
            return f"cannot be read: {error}"

    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    if threads == 1 or len(items) < 2:
        return [tried(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(tried, items, chunksize=16))


def refuse(outcomes: Iterable[Any], name: Callable[[int], str], where: Where) -> None:
    """Reasons among the outcomes as one error for each reason, with the rows and the name of the first."""
    reasons: dict[str, list[int]] = {}
    for row, outcome in enumerate(outcomes):
        if isinstance(outcome, str):
            reasons.setdefault(outcome, []).append(row)
    faults = []
    for reason, rows in reasons.items():
        remedy = "mend or remove " + ("this row" if len(rows) == 1 else f"these {len(rows)} rows")
        faults.append(UserError(f"{where(rows)}: {name(rows[0])} {reason}", try_=remedy))
    raise_all(faults)


def remarked(outcomes: Sequence[Any], remarks: Mapping[str, tuple[Level, str]], kind: str, table: Table) -> list[Finding]:
    """One finding for each remark that rows gave rise to, with the rows."""
    found = []
    for code, (level, said) in remarks.items():
        rows = [row for row, codes in enumerate(outcomes) if code in codes]
        if rows:
            message = f"{table.where(rows)}: {len(rows)} {kind} {said}"
            found.append(Finding(code, message, level, tuple(table.rows[row] for row in rows), len(rows)))
    return found


def name_of(content: Any) -> str:
    """A path, or the size of what has none."""
    return f"{len(content):,} bytes" if isinstance(content, bytes) else str(content)


def digest(content: Content) -> bytes:
    """SHA-256 of the content as it lies in its file."""
    with opened(content) as file:
        return bytes.fromhex(hash_bytes(iter(lambda: file.read(1 << 20), b"")))


def numbered(rows: Sequence[int]) -> str:
    """Rows in words where nothing better is known."""
    return ("row " if len(rows) == 1 else "rows ") + listed(row + 1 for row in rows)
