"""Freed memory stays: a loop that takes and gives back the same sizes is given no new pages."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
