"""The store: whole entries or none, within its budgets, safe with several runs at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tunewright.training.feature_cache import FeatureCache

ABOUT = {"what": "a test", "depth": 3}
VALUES = torch.arange(12.0).view(4, 3)


def store_in(folder: Path, memory: int = 2**20, disk: int = 2**20) -> FeatureCache:
    return FeatureCache(folder, memory=memory, disk=disk)


def put(store: FeatureCache, about: dict[str, object] | None = None, values: torch.Tensor = VALUES) -> torch.Tensor:
    draft = store.draft(about or ABOUT, tuple(values.shape), values.dtype)
    draft.values.copy_(values)
    return store.keep(draft)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("memory", [0, 2**20])
def test_an_entry_is_found_by_another_process(tmp_path: Path, dtype: torch.dtype, memory: int) -> None:
    assert torch.equal(put(store_in(tmp_path, memory), values=VALUES.to(dtype)), VALUES.to(dtype))
    found = store_in(tmp_path, memory).find(ABOUT)
    assert found is not None
    assert torch.equal(found, VALUES.to(dtype))
    assert store_in(tmp_path).find({**ABOUT, "depth": 2}) is None


def test_reading_an_entry_cannot_change_it(tmp_path: Path) -> None:
    put(store_in(tmp_path, memory=0))
    found = store_in(tmp_path, memory=0).find(ABOUT)
    assert found is not None
    found.zero_()
    again = store_in(tmp_path, memory=0).find(ABOUT)
    assert again is not None
    assert torch.equal(again, VALUES)


@pytest.mark.parametrize("fault", ["flipped", "short", "no values", "no description", "not JSON", "another's", "a link's text"])
def test_an_entry_that_is_not_whole_is_removed(tmp_path: Path, fault: str) -> None:
    put(store_in(tmp_path))
    entry = next(tmp_path.iterdir())
    values, about = entry / "values.bin", entry / "about.json"
    if fault == "flipped":
        values.write_bytes(values.read_bytes()[:-1] + b"?")
    elif fault == "short":
        values.write_bytes(values.read_bytes()[:-4])
    elif fault == "no values":
        values.unlink()
    elif fault == "no description":
        about.unlink()
    elif fault == "not JSON":
        about.write_text("{")
    elif fault == "another's":
        about.write_text(about.read_text().replace("a test", "other"))
    else:
        about.write_text(about.read_text().replace("float32", "load"))
    assert store_in(tmp_path).find(ABOUT) is None
    assert not entry.exists()
    put(store_in(tmp_path))
    assert store_in(tmp_path).find(ABOUT) is not None


def test_a_half_made_entry_is_not_found_and_leaves_nothing(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    draft = store.draft(ABOUT, (4, 3), torch.float32)
    assert store_in(tmp_path).find(ABOUT) is None
    draft.drop()
    assert list(tmp_path.iterdir()) == []


def test_the_entries_unused_longest_leave_first(tmp_path: Path) -> None:
    """Room for two entries of 4,000 bytes and what describes them; the first one was used last."""
    store, values = store_in(tmp_path, disk=9000), torch.zeros(1000)
    for number in (1, 2):
        put(store, {"number": number}, values)
        os.utime(max(tmp_path.iterdir(), key=lambda entry: entry.stat().st_mtime_ns), (number, number))
    assert store_in(tmp_path).find({"number": 1}) is not None
    put(store, {"number": 3}, values)
    left = [number for number in (1, 2, 3) if store_in(tmp_path).find({"number": number}) is not None]
    assert left == [1, 3]


def test_what_has_room_nowhere_on_disk_is_kept_for_this_run(tmp_path: Path) -> None:
    store = store_in(tmp_path, disk=8)
    put(store)
    assert store.find(ABOUT) is not None
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_cannot_be_written_costs_time_and_not_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = store_in(tmp_path / "file" / "below")
    assert torch.equal(put(store), VALUES)
    assert store.find(ABOUT) is not None


def test_several_runs_may_make_the_same_entry_at_once(tmp_path: Path) -> None:
    code = (
        "import sys, torch; from pathlib import Path; from tunewright.training.feature_cache import FeatureCache\n"
        "for turn in range(30):\n"
        "    store = FeatureCache(Path(sys.argv[1]), memory=0, disk=2**20)\n"
        "    found = store.find({'turn': turn})\n"
        "    if found is None:\n"
        "        draft = store.draft({'turn': turn}, (64, 8), torch.float32)\n"
        "        draft.values.fill_(turn)\n"
        "        found = store.keep(draft)\n"
        "    assert bool((found == turn).all()), turn\n"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]
    assert [run.wait() for run in runs] == [0, 0]
    assert len(list(tmp_path.iterdir())) == 30
