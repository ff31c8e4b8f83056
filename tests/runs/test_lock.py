"""The lock of a run's folder: one process at a time, and none that is dead."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tunewright.artifacts.lock import LOCK, locked
from tunewright.core.errors import UserError
from tunewright.core.processes import is_alive, started


def test_a_folder_is_held_by_one(tmp_path: Path) -> None:
    with locked(tmp_path):
        held = json.loads((tmp_path / LOCK).read_text())
        assert (held["pid"], held["started"]) == (os.getpid(), started(os.getpid()))
        with pytest.raises(UserError, match=f"process {os.getpid()} on .* is working in"), locked(tmp_path):
            pass
    assert not list(tmp_path.iterdir())
    with locked(tmp_path):
        pass


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}', "dead", "number given again"])
def test_what_a_dead_process_left_is_taken_over(tmp_path: Path, content: str) -> None:
    if content == "dead":
        ended = subprocess.run(
            [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
        )
        content = json.dumps({"pid": int(ended.stdout), "started": "1", "host": platform.node()})
    elif content == "number given again":
        content = json.dumps({"pid": os.getppid(), "started": "before", "host": platform.node()})
    (tmp_path / LOCK).write_text(content)
    with locked(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()


def test_the_lock_of_a_live_process_holds_where_the_system_has_none(tmp_path: Path) -> None:
    other = os.getppid()
    (tmp_path / LOCK).write_text(json.dumps({"pid": other, "started": started(other), "host": platform.node()}))
    with pytest.raises(UserError, match=f"process {other}"), locked(tmp_path):
        pass


def test_processes_are_told_apart() -> None:
    assert is_alive(os.getpid())
    assert not is_alive(0)
    assert not is_alive(2**30)
    assert started(2**30) is None
