"""Paths as people and files give them: plain names of this machine; addresses are told as such and nothing is fetched."""

from __future__ import annotations

import re
from pathlib import Path

from tunewright.core.errors import UserError

# Schemes that need no //, and a computer's name as Windows writes it.
_OPAQUE = ("data:", "file:", "http:", "https:", "ftp:", "s3:", "gs:", "hf:", "javascript:")
_SHARE = re.compile(r"\\\\[^\\/]")
_DRIVE = re.compile(r"[A-Za-z]:([\\/]|$)")


def is_address(text: str) -> bool:
    """Whether a text names something that is not a file of this machine: http://…, data:…, or another computer's."""
    lowered = text.strip().lower()
    return "://" in lowered or lowered.startswith(_OPAQUE) or bool(_SHARE.match(lowered))


def refuse_address(text: str | Path, what: str) -> None:
    """Raise UserError where ``what`` (the model, the data …) is given as something that cannot be a path here."""
    said = str(text)
    if "\0" in said:
        raise UserError(f"{what} has a NUL in its path", expected="a plain path")
    if is_address(said):
        raise UserError(
            f"{what} is given as an address, '{said[:100]}', and nothing is fetched from addresses",
            expected="a path of this machine, or a hub id such as owner/name",
            try_="download it and name the file or folder",
        )


def leads_out(name: str) -> bool:
    """Whether a file's name, as a file lists it, could mean anything but a file below that folder."""
    parts = name.split("/")
    return "\0" in name or "\\" in name or bool({"..", ".", ""} & set(parts)) or bool(_DRIVE.match(name)) or is_address(name)
