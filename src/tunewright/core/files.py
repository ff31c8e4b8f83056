"""Files that are whole or absent: atomic writes, hashes, JSON, safetensors."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright.core.errors import UserError
from tunewright.core.tensor_header import read_header

if TYPE_CHECKING:
    from torch import Tensor


def sync_folder(folder: Path) -> None:
    """Make a rename inside ``folder`` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    A file that was there keeps its mode, a new one gets what the umask leaves; a link is replaced by the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    old = _regular(path)
    handle, temporary = _new_beside(path, 0o666 if old is None else 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            if old is not None:
                _make_like(handle, old)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _new_beside(path: Path, mode: int) -> tuple[int, Path]:
    """A new file under a name of its own, opened; the system takes the umask off its mode."""
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        try:
            return os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), mode), temporary
        except FileExistsError:
            continue


def _regular(path: Path) -> os.stat_result | None:
    """What the system tells of a regular file; None where there is none of that name."""
    try:
        told = path.lstat()
    except FileNotFoundError:
        return None
    return told if stat.S_ISREG(told.st_mode) else None


def _make_like(handle: int, old: os.stat_result) -> None:
    """The owner, where that is allowed, and the mode of another file."""
    new = os.fstat(handle)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        with suppress(OSError):
            os.fchown(handle, old.st_uid, old.st_gid)
    if new.st_mode != old.st_mode:
        os.fchmod(handle, stat.S_IMODE(old.st_mode))


def write_text(path: Path, content: str) -> None:
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted keys left as given; NaN and infinity are refused because JSON has neither."""
    write_text(path, json_text(content))


def json_text(content: Any) -> str:
    """What ``write_json`` writes."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON: {error}") from None


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; anything else is a UserError."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}", expected="a JSON object")
    return content


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Save named tensors as safetensors, atomically."""
    write_bytes(path, tensor_bytes(tensors, metadata))


def tensor_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """Named tensors as the content of a safetensors file."""
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content: bytes = save(plain, metadata=dict(metadata or {"format": "pt"}))
    return content


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Load named tensors from a safetensors file; a damaged file is a ``UserError``."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        read_header(path)
        return load_file(str(path))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except SafetensorError as error:
        raise UserError(f"{path} is not a whole safetensors file: {error}") from None


def hash_bytes(chunks: Iterable[bytes | memoryview]) -> str:
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def bytes_of(tensor: Tensor) -> memoryview:
    """A tensor's values as they lie in memory."""
    import torch

    return memoryview(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content, read in pieces."""
    with path.open("rb") as file:
        return hash_bytes(iter(lambda: file.read(1 << 20), b""))


def hash_json(content: Any) -> str:
    """SHA-256 of a value's canonical JSON."""
    return hash_bytes([json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode("utf-8")])
