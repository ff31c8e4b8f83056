"""Whatever folder is named as the cache's, only the cache's own entries and abandoned drafts are ever removed from it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.test_feature_store import ABOUT, VALUES, put, store_in
from tunewright.core.files import hash_json
from tunewright.core.processes import identity
from tunewright.training import feature_folder
from tunewright.training.feature_cache import FeatureCache

NAME = "0" * 64
DRAFT = ".0123456789abcdef-abcdefgh"


def foreign(folder: Path) -> list[Path]:
    """Files that are not the cache's, among them such as look nearly like it."""
    other = json.dumps({"what": "image layers", "sha256": "0"})
    content = {
        "photos/a.jpg": "a",
        "thesis/about.json": other,
        f"{NAME}/layer.tar": "b",
        f"{'1' * 64}/about.json": other,
        f"{'1' * 64}/values.bin": "c",
        f"{'2' * 64}/values.bin": "d",
        f"{'3' * 64}": "a file",
        f"{'4' * 64}/about.json": "{",
        f"{hash_json({'mine': 5})}/about.json": json.dumps({"mine": 5}),
        f"{hash_json({'mine': 5})}/notes.txt": "kept beside an entry",
        f"{DRAFT}/letter.txt": "e",
        ".0123456789abcdef-abcdefghi/values.bin": "longer",
        ".config/values.bin": "f",
        "values.bin": "g",
    }
    for name, text in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    made = folder.parent / "elsewhere" / hash_json({"mine": 6})
    made.mkdir(parents=True)
    (made / "about.json").write_text(json.dumps({"mine": 6}))
    (folder / made.name).symlink_to(made)
    for path in folder.iterdir():
        if not path.is_symlink():
            os.utime(path, (1, 1))  # unused longest of all
    return [folder / name for name in content] + [made / "about.json", folder / made.name]


def fill(folder: Path, count: int = 6) -> FeatureCache:
    """Entries of 4,000 bytes each, of which two have room."""
    store = store_in(folder, memory=0, disk=9000)
    for number in range(count):
        put(store, {"number": number}, torch.zeros(1000))
    return store


def entries(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if feature_folder.is_entry(path)]


def test_what_is_not_the_caches_stays(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    kept = foreign(folder)
    fill(folder)
    assert [path for path in kept if not path.exists()] == []
    assert len(entries(folder)) == 2  # and what is its own was removed as it should be


def test_without_the_look_it_would_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "home"
    kept = foreign(folder)
    monkeypatch.setattr(feature_folder, "is_entry", lambda path: True)
    monkeypatch.setattr(feature_folder, "size", lambda path: 4000)
    monkeypatch.setattr(feature_folder, "remove", lambda path: shutil.rmtree(path, ignore_errors=True))
    fill(folder)
    assert not (folder / "photos" / "a.jpg").exists()
    assert any(not path.exists() for path in kept)


def test_a_folder_of_that_very_name_with_other_files_stays_and_costs_time_alone(tmp_path: Path) -> None:
    place = tmp_path / hash_json(ABOUT)
    place.mkdir()
    (place / "values.bin").write_bytes(b"not whole")
    (place / "notes.txt").write_text("mine")
    store = store_in(tmp_path)
    assert store.find(ABOUT) is None
    assert torch.equal(put(store), VALUES)
    found = store.find(ABOUT)
    assert found is not None
    assert torch.equal(found, VALUES)
    assert sorted(path.name for path in place.iterdir()) == ["notes.txt", "values.bin"]
    assert list(tmp_path.iterdir()) == [place]


def test_an_entry_is_removed_whole(tmp_path: Path) -> None:
    put(store_in(tmp_path))
    (entry,) = entries(tmp_path)
    assert sorted(path.name for path in entry.iterdir()) == ["about.json", "values.bin"]
    feature_folder.remove(entry)
    assert list(tmp_path.iterdir()) == []


def draft(folder: Path, maker: dict[str, Any] | None, age: float = 0.0, half: bool = False) -> Path:
    """A half-made entry of 8,000 bytes."""
    made = folder / DRAFT
    made.mkdir()
    (made / "values.bin").write_bytes(bytes(8000))
    if maker is not None:
        (made / "maker.json").write_text(json.dumps(maker))
    if half:
        (made / ".about.json.abcd1234.tmp").write_text("{")
    for path in (*made.iterdir(), made):
        os.utime(path, (time.time() - age, time.time() - age))
    return made


OTHERS = {"pid": 1, "started": "1", "host": "another-machine"}
ENDED = {"pid": 2**30, "started": "1", "host": platform.node()}
DAYS = 3 * 24 * 3600.0


@pytest.mark.parametrize(
    ("maker", "age", "stays"),
    [
        ("alive", 0.0, True),
        ("alive", DAYS, True),
        ("ended", 0.0, False),
        ("reused", 0.0, False),
        ("elsewhere", 0.0, True),
        ("elsewhere", DAYS, False),
        ("nobody", 0.0, True),
        ("nobody", DAYS, False),
    ],
)
def test_a_draft_stays_while_it_is_made(tmp_path: Path, maker: str, age: float, stays: bool) -> None:
    makers = {
        "alive": identity(),
        "ended": ENDED,
        "reused": identity() | {"started": "0"},  # the number was given to another process since
        "elsewhere": OTHERS,
        "nobody": None,
    }
    made = draft(tmp_path, makers[maker], age, half=True)
    fill(tmp_path)
    assert made.exists() is stays
    assert len(entries(tmp_path)) == (1 if stays else 2)  # its bytes count


def test_a_draft_in_use_survives_another_run_that_needs_room(tmp_path: Path) -> None:
    code = (
        "import sys, torch; from pathlib import Path; from tunewright.training.feature_cache import FeatureCache\n"
        "store = FeatureCache(Path(sys.argv[1]), memory=0, disk=2**20)\n"
        "draft = store.draft({'number': 'theirs'}, (1000,), torch.float32)\n"
        "draft.values.fill_(7); print('made', flush=True); sys.stdin.readline()\n"
        "store.keep(draft)\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "made\n"
        fill(tmp_path)
        run.communicate("\n")
    assert run.returncode == 0
    found = store_in(tmp_path).find({"number": "theirs"})
    assert found is not None
    assert bool((found == 7).all())


def test_a_killed_runs_draft_leaves_with_the_next(tmp_path: Path) -> None:
    code = (
        "import os, sys, torch; from pathlib import Path; from tunewright.training.feature_cache import FeatureCache\n"
        "FeatureCache(Path(sys.argv[1]), memory=0, disk=2**20).draft({'number': 'theirs'}, (1000,), torch.float32)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    (left,) = tmp_path.iterdir()
    assert feature_folder.is_draft(left)
    fill(tmp_path)
    assert not left.exists()
    assert len(list(tmp_path.iterdir())) == 2
