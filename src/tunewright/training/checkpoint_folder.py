"""A checkpoint as a folder that is whole or absent, whenever the process or the machine dies.

Written under a temporary name in the same folder, every file synced, the manifest last, then the folder, then one rename, then
the parent. What the manifest lists is what a reader trusts: each file's size and SHA-256. Nothing is ever written over: a
step whose folder is there already gets a new name. Source: Pillai et al. 2014, 'All file systems are not created equal',
section 3, on what a rename promises.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tunewright.core.files import hash_bytes, hash_file
from tunewright.core.processes import is_alive
from tunewright.core.storage import Storage

SCHEMA = 1
MANIFEST = "manifest.json"
_NAME = re.compile(r"step-(\d+)(?:\.(\d+))?")  # step-12.1 was written because step-12 was there, damaged
_TEMPORARY = re.compile(r"\.step-[\d.]+\.tmp-(\d+)")


class Unusable(Exception):  # noqa: N818 - a state of the folder
    """A folder that no run may continue from; the message says why."""


def folders(parent: Path) -> list[Path]:
    """All folders with a checkpoint's name, newest first; what is in them is not looked at."""
    found = [path for path in parent.iterdir() if _NAME.fullmatch(path.name)] if parent.is_dir() else []
    return sorted(found, key=_age, reverse=True)


def step_of(folder: Path) -> int:
    return _age(folder)[0]


def _age(folder: Path) -> tuple[int, int]:
    named = _NAME.fullmatch(folder.name)
    assert named is not None
    return int(named[1]), int(named[2] or 0)


def write_folder(parent: Path, step: int, files: Iterable[tuple[str, bytes]], about: Mapping[str, Any], storage: Storage) -> Path:
    """Write ``files`` and a manifest that says ``about`` as a new folder; OSError leaves nothing but what was there."""
    parent.mkdir(parents=True, exist_ok=True)
    place = _free(parent, step)
    temporary = parent / f".{place.name}.tmp-{os.getpid()}"
    storage.make_folder(temporary)
    try:
        listed = {}
        for name, content in files:
            storage.write(temporary / name, content)
            listed[name] = {"size": len(content), "sha256": hash_bytes([content])}
        manifest = {"schema": SCHEMA, "step": step, **about, "files": listed}
        storage.write(temporary / MANIFEST, json.dumps(manifest, indent=2, allow_nan=False).encode())
        storage.sync_folder(temporary)
        storage.rename(temporary, place)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    storage.sync_folder(parent)
    return place


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a folder says that it holds; Unusable where it says nothing that this version understands."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        schema, files = manifest["schema"], manifest["files"]
        sound = schema == SCHEMA and all(type(one["size"]) is int and type(one["sha256"]) is str for one in files.values())
    except FileNotFoundError:
        raise Unusable(f"it has no {MANIFEST}") from None
    except OSError as error:
        raise Unusable(f"its {MANIFEST} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Unusable(f"its {MANIFEST} is damaged") from None
    if isinstance(schema, int) and schema > SCHEMA:
        raise Unusable(f"a newer version of tunewright wrote it (schema {schema}; this one reads {SCHEMA})")
    if not sound or manifest.get("step") != step_of(folder):
        raise Unusable(f"its {MANIFEST} is damaged or of another step")
    found: dict[str, Any] = manifest
    return found


def verify(folder: Path) -> dict[str, Any]:
    """The manifest of a folder whose every listed file is as it was written; other files are not looked at."""
    manifest = read_manifest(folder)
    for name, wanted in manifest["files"].items():
        try:
            size = (folder / name).stat().st_size
            if size != wanted["size"]:
                raise Unusable(f"its {name} has {size:,} bytes of {wanted['size']:,}")
            if hash_file(folder / name) != wanted["sha256"]:
                raise Unusable(f"its {name} is damaged")
        except FileNotFoundError:
            raise Unusable(f"its {name} is missing") from None
        except OSError as error:
            raise Unusable(f"its {name} cannot be read: {error.strerror}") from None
    return manifest


def remove_folder(folder: Path, storage: Storage) -> None:
    """Remove exactly what was written; a folder that holds anything else stays. It is gone at once, by one rename."""
    listed = {MANIFEST, *read_manifest(folder)["files"]}
    if {path.name for path in folder.iterdir()} != listed:
        return
    temporary = folder.with_name(f".{folder.name}.tmp-{os.getpid()}")
    storage.rename(folder, temporary)
    for name in sorted(listed):
        storage.remove(temporary / name)
    storage.remove(temporary)


def clear_left_over(parent: Path) -> None:
    """Remove what processes that are dead left half-written or half-removed."""
    for path in _left_over(parent):
        shutil.rmtree(path, ignore_errors=True)


def _left_over(parent: Path) -> Iterator[Path]:
    for path in list(parent.iterdir()) if parent.is_dir() else ():
        named = _TEMPORARY.fullmatch(path.name)
        if named is not None and (int(named[1]) == os.getpid() or not is_alive(int(named[1]))):
            yield path


def _free(parent: Path, step: int) -> Path:
    place, number = parent / f"step-{step}", 0
    while place.exists():
        number += 1
        place = parent / f"step-{step}.{number}"
    return place
