"""From a file's bytes to text: UTF-8 or UTF-16 with its mark, and nothing guessed; a name that ends in .gz is unpacked."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tunewright.core.errors import UserError, nearest

# What a file of another kind starts with, and what to do about it.
_OTHER_KINDS = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook", "export the sheet as CSV (UTF-8)"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "export the sheet as CSV (UTF-8)"),
    (b"\x1f\x8b", "compressed with gzip", "unpack it first: gunzip -c FILE > rows.csv"),
    (b"PAR1", "a Parquet file", "rename it to end in .parquet"),
    (b"%PDF", "a PDF document", "export its table as CSV (UTF-8)"),
    (b"version https://git-lfs", "a Git LFS pointer, not the data", "git lfs pull"),
)
_CHUNK = 1 << 20  # bytes read at once
PACKED = ".gz"
LONGEST_LINE = 32 * 2**20  # characters: far above any example, far below what a machine holds

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_bytes(path: Path) -> bytes:
    """The content of a file that must be there and hold something."""
    return b"".join(_chunks(path))


def _chunks(path: Path) -> Iterator[bytes]:
    """The content piece by piece; at least one."""
    if path.is_dir():
        raise UserError(f"{path} is a folder", expected="a file")
    try:
        with gzip.open(path) if path.suffix.lower() == PACKED else path.open("rb") as file:
            chunk = file.read(_CHUNK)
            if not chunk:
                raise UserError(f"{path} is empty (0 bytes)", expected="a file with rows", try_="write the file again")
            while chunk:
                yield chunk
                chunk = file.read(_CHUNK)
    except FileNotFoundError:
        siblings = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UserError(f"{path} does not exist", nearest=nearest(path.name, siblings)) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path} is no whole gzip file: {error}", try_="fetch or pack the file again") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None


def _refuse_other_kinds(path: Path, content: bytes) -> None:
    for start, kind, remedy in _OTHER_KINDS:
        if content.startswith(start):
            raise UserError(f"{path} is {kind}, although its name ends in '{path.suffix}'", try_=remedy)
    opening = content[:512].removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if opening.startswith((b"<!doctype html", b"<html")):
        raise UserError(
            f"{path} is a web page (HTML), although its name ends in '{path.suffix}'",
            try_="download the file itself, not the page that shows it",
        )


def _undecodable(path: Path, error: UnicodeDecodeError, before: int, lines: int, encoding: str) -> UserError:
    """``before`` bytes and ``lines`` line ends come before what the decoder was given."""
    line = lines + error.object[: error.start].count(b"\n") + 1
    return UserError(
        f"{path}, line {line}: byte 0x{error.object[error.start]:02x} at offset {before + error.start} is not {encoding}",
        expected="text in UTF-8",
        try_=f"iconv -f latin1 -t utf-8 {path.name} > utf8{path.suffix}  (with the file's real encoding in place of latin1)",
    )


def _nul(path: Path, text: str, before: int, lines: int) -> UserError:
    place = text.index("\0")
    return UserError(
        f"{path}, line {lines + text.count(chr(10), 0, place) + 1}: a NUL character at position {before + place}",
        expected="plain text (NULs mean a damaged file, or UTF-16 without its mark)",
        try_=f"tr -d '\\000' < {path.name} > clean{path.suffix}",
    )


def _texts(path: Path) -> Iterator[str]:
    """The text piece by piece; another kind of file, a wrong byte or a NUL is a ``UserError`` that says where."""
    read = characters = lines = 0
    blank, encoding, decoder = True, "", codecs.getincrementaldecoder("utf-8-sig")()
    for chunk in chain(_chunks(path), [b""]):
        if not read:
            _refuse_other_kinds(path, chunk)
            encoding = "UTF-16" if chunk.startswith(_UTF16) else "UTF-8"
            decoder = codecs.getincrementaldecoder("utf-16" if encoding == "UTF-16" else "utf-8-sig")()
        read += len(chunk)
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            raise _undecodable(path, error, read - len(error.object), lines, encoding) from None
        if "\0" in text:
            raise _nul(path, text, characters, lines)
        characters, lines = characters + len(text), lines + text.count("\n")
        blank = blank and (not text or text.isspace())
        yield text
    if blank:
        raise UserError(f"{path} holds nothing but blank space", expected="a file with rows", try_="write the file again")


def read_text(path: Path) -> str:
    """The whole file as text."""
    return "".join(_texts(path))


def read_lines(path: Path, *, newline: str = "") -> Iterator[str]:
    """The lines one after the other with their ends, never the whole file; ``newline`` as ``open`` takes it."""
    rest, number = "", 1
    for text in _texts(path):
        lines = list(io.StringIO(rest + text, newline=newline)) or [""]
        rest = lines.pop()  # it may go on, or be half of a line's end
        number += len(lines)
        if len(rest) > LONGEST_LINE:
            raise UserError(
                f"{path}, line {number} is more than {LONGEST_LINE:,} characters long",
                expected="one row on each line",
                try_=f"remove or split line {number}",
            )
        yield from lines
    if rest:
        yield rest
