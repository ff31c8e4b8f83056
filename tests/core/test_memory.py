"""Freed memory stays: a loop that takes and gives back the same sizes is given no new pages, and neither is training."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tunewright.core.memory import memory_at_hand

CODE = """
import sys, torch
from tunewright.core.memory import keep_freed_memory, page_faults
if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit(3)
def step():
    a = torch.ones(2560, 4096)  # 40 MiB; glibc keeps blocks below 32 by itself
    return (a * 2 + a).sum()
for _ in range(10): step()
before = page_faults()
for _ in range(10): step()
print(page_faults() - before)
"""


def faults(way: str) -> int:
    done = subprocess.run([sys.executable, "-c", CODE, way], capture_output=True, text=True, check=False)
    if done.returncode == 3:
        pytest.skip("another C library than glibc")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_a_step_takes_no_new_pages() -> None:
    assert faults("keep") <= 10240  # at most one block more, where the heap has grown once
    assert faults("plain") > 10 * 10240  # negative control: at least one of the blocks anew in each step


TRAINING = """
import sys
from pathlib import Path
import tunewright.pipeline.steps
from tests.listener import Listener
from tests.engine.toy import toy_job, toy_recipe, toy_rows
from tunewright.core.memory import page_faults
from tunewright.training.trainer import train
from tunewright.models.tiny import tiny_model
if sys.argv[1] == "plain":
    tunewright.pipeline.steps.keep_freed_memory = lambda: False
elif not tunewright.pipeline.steps.keep_freed_memory():
    sys.exit(3)
base = tiny_model("bert", Path(sys.argv[2]), layers=2, width=512)
seen = []
training = {"epochs": 6, "batch_size": 16, "threads": 1, "precision": "float32", "checkpoints": False}
recipe = toy_recipe(base, method="full", training=training)
train(toy_job(recipe, toy_rows(60, longest=40), callbacks=(Listener(lambda event: seen.append((event["kind"], page_faults()))),)))
steps = [faults for kind, faults in seen if kind == "step"]
print(steps[-1] - steps[len(steps) // 2])
"""


def test_once_it_runs_training_takes_no_new_pages(tmp_path: Path) -> None:
    def given(way: str) -> int:
        command = [sys.executable, "-c", TRAINING, way, str(tmp_path / way)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
        if done.returncode == 3:
            pytest.skip("another C library than glibc")
        assert done.returncode == 0, done.stderr
        return int(done.stdout.split()[-1])

    kept, plain = given("keep"), given("plain")
    assert kept < 2000  # 8 MB in half of all steps
    assert plain > 3 * kept  # negative control


def test_the_memory_at_hand_is_what_is_free_and_its_own_within_the_control_group(tmp_path: Path) -> None:
    system, own, group = tmp_path / "meminfo", tmp_path / "statm", tmp_path / "memory.max"
    system.write_text("MemTotal:  9000 kB\nMemAvailable:  5000 kB\nSwapFree:  500 kB\n")
    own.write_text("900 10 3 1 0 8 0\n")
    whole = 5500 * 1024 + 10 * resource.getpagesize()
    assert memory_at_hand(system, own, group) == whole
    group.write_text("max\n")
    assert memory_at_hand(system, own, group) == whole
    group.write_text("4096\n")
    assert memory_at_hand(system, own, group) == 4096
    system.write_text("MemTotal:  9000 kB\n")
    assert memory_at_hand(system, own, group) is None
    assert memory_at_hand(tmp_path / "none", own, group) is None
