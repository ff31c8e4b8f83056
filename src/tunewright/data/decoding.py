"""From a file's bytes to text: UTF-8 or UTF-16 with its mark, and nothing guessed."""

from __future__ import annotations

import codecs
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
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_bytes(path: Path) -> bytes:
    """The content of a file that must be there and hold something."""
    if path.is_dir():
        raise UserError(f"{path} is a folder", expected="a file")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        siblings = [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UserError(f"{path} does not exist", nearest=nearest(path.name, siblings)) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    if not content:
        raise UserError(f"{path} is empty (0 bytes)", expected="a file with rows", try_="write the file again")
    return content


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


def _undecodable(path: Path, content: bytes, error: UnicodeDecodeError, encoding: str) -> UserError:
    line = content[: error.start].count(b"\n") + 1
    return UserError(
        f"{path}, line {line}: byte 0x{content[error.start]:02x} at offset {error.start} is not {encoding}",
        expected="text in UTF-8",
        try_=f"iconv -f latin1 -t utf-8 {path.name} > utf8{path.suffix}  (with the file's real encoding in place of latin1)",
    )


def read_text(path: Path) -> str:
    """The whole file as text; another kind of file, a wrong byte or a NUL is a ``UserError`` that says where."""
    content = read_bytes(path)
    _refuse_other_kinds(path, content)
    encoding = "UTF-16" if content.startswith(_UTF16) else "UTF-8"
    try:
        text = content.decode("utf-16" if encoding == "UTF-16" else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise _undecodable(path, content, error, encoding) from None
    if "\0" in text:
        place = text.index("\0")
        line = text.count("\n", 0, place) + 1
        raise UserError(
            f"{path}, line {line}: a NUL character at position {place}",
            expected="plain text (NULs mean a damaged file, or UTF-16 without its mark)",
            try_=f"tr -d '\\000' < {path.name} > clean{path.suffix}",
        )
    if not text or text.isspace():
        raise UserError(f"{path} holds nothing but blank space", expected="a file with rows", try_="write the file again")
    return text
