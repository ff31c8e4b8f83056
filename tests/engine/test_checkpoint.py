"""Checkpoints on the disk: the order of operations, what is removed and what never, what is refused."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tunewright.core.errors import UserError
from tunewright.core.files import read_tensors
from tunewright.core.storage import DISK, Storage
from tunewright.training.checkpoint import Checkpoint, Checkpoints
from tunewright.training.checkpoint_folder import Unusable, folders, step_of, verify


def moment(step: int, best: int | None = None) -> Checkpoint:
    tensors = {"weight": torch.full((4,), float(step))}
    return Checkpoint(tensors, {}, {}, {}, {"step": step, "best_step": best})


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_everything_is_on_the_disk_before_its_name_is(tmp_path: Path) -> None:
    done: list[tuple[str, str]] = []

    def note(operation: str, path: Path) -> None:
        done.append((operation, path.name if path != tmp_path else "parent"))

    noting = Storage(
        make_folder=lambda path: (note("make", path), DISK.make_folder(path))[1],
        write=lambda path, content: (note("write", path), DISK.write(path, content))[1],
        sync_folder=lambda path: (note("sync", path), DISK.sync_folder(path))[1],
        rename=lambda path, target: (note("rename", target), DISK.rename(path, target))[1],
        remove=lambda path: (note("remove", path), DISK.remove(path))[1],
    )
    checkpoints = Checkpoints(tmp_path, storage=noting)
    for step in (1, 2, 3):
        checkpoints.write(moment(step, best=step))
    files = [f"{name}.safetensors" for name in ("weights", "optimizer", "random", "averages")]
    temporary = f".step-3.tmp-{os.getpid()}"
    written = [("make", temporary), *(("write", name) for name in (*files, "state.json", "manifest.json"))]
    written += [("sync", temporary), ("rename", "step-3"), ("sync", "parent")]
    last = done.index(("make", temporary))
    assert done[last : last + len(written)] == written
    removed = done[last + len(written) :]
    assert removed[0] == ("rename", f".step-1.tmp-{os.getpid()}")  # gone at once, then piece by piece
    assert {operation for operation, _ in removed[1:]} == {"remove"}


@pytest.mark.parametrize("seed", range(20))
def test_two_last_and_the_best_of_each_stay_whatever_the_scores(tmp_path: Path, seed: int) -> None:
    generator = random.Random(seed)
    checkpoints = Checkpoints(tmp_path)
    best = 1
    former = {1}
    for step in range(1, 12):
        best = step if generator.random() < 0.4 else best
        assert checkpoints.write(moment(step, best)) == ()
        assert {step_of(place) for place in folders(tmp_path)} == former | {step, best}
        former = {step, best}
        if generator.random() < 0.3:  # another life goes on
            checkpoints = Checkpoints(tmp_path)
            found = checkpoints.newest()
            assert found.checkpoint.state["step"] == step
            assert found.best is not None
            assert found.best["weight"][0] == best


def test_where_the_best_is_lost_the_last_takes_its_place(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2, 3):
        checkpoints.write(moment(step, best=1))
    (tmp_path / "step-1" / "weights.safetensors").unlink()
    checkpoints = Checkpoints(tmp_path)
    found = checkpoints.newest()
    assert found.best is None
    assert "at step 1, are lost" in " ".join(found.said)
    for step in (4, 5, 6):
        checkpoints.write(moment(step, best=3))
    assert names(tmp_path) == {"step-1", "step-3", "step-5", "step-6"}  # what is damaged is left alone


def test_what_it_did_not_write_is_never_removed(tmp_path: Path) -> None:
    foreign = tmp_path / "step-1"
    foreign.mkdir()
    (foreign / "mine.txt").write_text("kept")
    other = Checkpoints(tmp_path, {"seed": 1})
    other.write(moment(2, best=2))
    (tmp_path / "step-x").mkdir()
    (tmp_path / ".step-9.tmp-notes").mkdir()
    checkpoints = Checkpoints(tmp_path, {"seed": 0})
    for step in (3, 4, 5, 6):
        checkpoints.write(moment(step, best=step))
    assert names(tmp_path) == {"step-1", "step-2", "step-x", ".step-9.tmp-notes", "step-5", "step-6"}


def test_a_step_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    Checkpoints(tmp_path).write(moment(3, best=3))
    before = (tmp_path / "step-3" / "manifest.json").read_bytes()
    Checkpoints(tmp_path, {"seed": 1}).write(moment(3, best=3))
    assert names(tmp_path) == {"step-3", "step-3.1"}
    assert (tmp_path / "step-3" / "manifest.json").read_bytes() == before
    assert [place.name for place in folders(tmp_path)] == ["step-3.1", "step-3"]


def test_only_what_dead_processes_left_is_cleared(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True)
    dead, alive = f".step-4.tmp-{ended.stdout.strip()}", f".step-4.tmp-{os.getppid()}"
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write(moment(3, best=3))
    for name in (dead, alive):
        (tmp_path / name).mkdir()
    checkpoints.newest()
    assert names(tmp_path) == {"step-3", alive}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "damaged"),
        (b"[]", "damaged"),
        (b"\xff\xfe", "damaged"),
        (b'{"schema": 1, "step": 3, "files": {"weights.safetensors": {"size": "1", "sha256": 4}}}', "damaged"),
        (b'{"schema": 1, "step": 4, "files": {}}', "of another step"),
        (b'{"schema": 9, "step": 3, "files": {}}', "newer version"),
        (b'{"schema": 1, "step": 3, "files": {}}', "lacks what a checkpoint has"),
        (b"[" * 100_000, "damaged"),
    ],
)
def test_a_manifest_that_cannot_be_trusted_is_left_out(tmp_path: Path, content: bytes, said: str) -> None:
    Checkpoints(tmp_path).write(moment(3, best=3))
    (tmp_path / "step-3" / "manifest.json").write_bytes(content)
    with pytest.raises(UserError, match=said):
        Checkpoints(tmp_path).newest()


def test_a_whole_one_is_verified(tmp_path: Path) -> None:
    Checkpoints(tmp_path).write(moment(3, best=3))
    manifest = verify(tmp_path / "step-3")
    assert manifest["step"] == 3
    assert set(manifest["versions"]) >= {"python", "torch"}
    (tmp_path / "step-3" / "state.json").write_text(json.dumps({}))
    with pytest.raises(Unusable, match=r"state\.json"):
        verify(tmp_path / "step-3")


@pytest.mark.parametrize("declared", [0, 1, 9_999, 2**63, 2**64 - 1])
def test_a_header_longer_than_its_file_is_refused_before_it_is_read(tmp_path: Path, declared: int) -> None:
    path = tmp_path / "tensors.safetensors"
    path.write_bytes(declared.to_bytes(8, "little") + b"{}" * 20)
    with pytest.raises(UserError, match=f"its header would have {declared:,} bytes, the file has 48"):
        read_tensors(path)
