"""The manifest: what a run was made of, by hash and version, so that it can be traced and made again."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import tunewright
from tunewright.core.files import hash_bytes
from tunewright.core.versions import versions as versions


@cache
def code_hash() -> str:
    """SHA-256 over this package's own sources."""
    root = Path(tunewright.__file__).parent
    files = sorted(path for path in root.rglob("*") if path.suffix in {".py", ".yaml", ".j2"})
    return hash_bytes(chunk for path in files for chunk in (str(path.relative_to(root)).encode(), path.read_bytes()))


def now() -> str:
    """The moment in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0).isoformat()


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """In words, what differs between two manifests that could change a result."""
    said = []
    for key, meaning in (("data_hash", "the data"), ("code_hash", "tunewright's own code"), ("seed", "the seed")):
        if before.get(key) != after.get(key):
            said.append(f"{meaning} changed ({str(before.get(key))[:12]} before, {str(after.get(key))[:12]} now)")
    if before.get("base", {}).get("hash") != after.get("base", {}).get("hash"):
        said.append("the base model's weights changed")
    for group in ("versions", "hardware"):
        old, new = before.get(group, {}), after.get(group, {})
        said += [
            f"{name}: {old.get(name, 'absent')} before, {new.get(name, 'absent')} now"
            for name in sorted({*old, *new})
            if old.get(name) != new.get(name)
        ]
    return said
