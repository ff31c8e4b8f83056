"""What a safetensors file says that it holds, read and checked before any memory is taken for its tensors.

Source: the safetensors format: 8 bytes of length, a JSON header, then the values without gaps. The library itself takes the last
of two tensors of one name; here that is refused.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from tunewright.core.errors import UserError

_LONGEST = 1 << 25  # bytes of a header; that of a model of a million tensors has a few times less (a guess)
_KEYS = {"dtype", "shape", "data_offsets"}
# Bits of a value; names as the format has them. A kind that is not here is left to the library.
_BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 8),
}


@dataclass(frozen=True)
class Declared:
    """One tensor as the header has it."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        return prod(self.shape)


def read_header(path: Path) -> dict[str, Declared]:
    """Names, kinds and shapes; UserError where the file cannot be what it says, or names a tensor twice."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or not 2 <= length <= size - 8 or length > _LONGEST:
            raise _unfit(path, f"its header would have {length:,} bytes, the file has {size:,}{_other(start)}")
        raw = file.read(length)
    try:
        content = json.loads(raw, object_pairs_hook=lambda pairs: _once(path, pairs))
    except (ValueError, RecursionError):
        raise _unfit(path, "its header is no JSON") from None
    if not isinstance(content, dict):
        raise _unfit(path, "its header is no object")
    found, ends = {}, []
    for name, about in content.items():
        if name != "__metadata__":
            found[name], end = _declared(path, name, about)
            ends.append(end)
    if max(ends, default=0) > size - 8 - length:
        raise _unfit(path, "it is truncated: its header lists more bytes than follow")
    return found


def _declared(path: Path, name: str, about: Any) -> tuple[Declared, int]:
    """One tensor, and where its values end."""
    if not isinstance(about, dict) or set(about) != _KEYS:
        raise _unfit(path, f"the tensor '{name[:100]}' is not described")
    dtype, shape, offsets = about["dtype"], about["shape"], about["data_offsets"]
    whole = isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2
    if not whole or not isinstance(dtype, str) or not all(type(one) is int and one >= 0 for one in [*shape, *offsets]):
        raise _unfit(path, f"the tensor '{name[:100]}' has no kind, shape and place")
    declared = Declared(dtype, tuple(shape))
    bits = _BITS.get(dtype)
    if bits is not None and declared.count * bits != 8 * (offsets[1] - offsets[0]):
        raise _unfit(path, f"the tensor '{name[:100]}' has {offsets[1] - offsets[0]:,} bytes for the shape {shape}")
    return declared, offsets[1]


def _once(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        doubled = next(name for name, count in counts.items() if count > 1)
        raise _unfit(path, f"its header names '{doubled[:100]}' twice")
    return found


def _other(start: bytes) -> str:
    """What a file seems to be instead."""
    kinds = {
        b"version ": "; it is a Git LFS pointer (git lfs pull)",
        b"<": "; it is a web page",
        b"PK\x03\x04": "; it is a zip archive",
    }
    return next((said for opening, said in kinds.items() if start.startswith(opening)), "")


def _unfit(path: Path, why: str) -> UserError:
    return UserError(
        f"{path} is not a whole safetensors file: {why}", expected="a file written by safetensors", try_="fetch or save it again"
    )
