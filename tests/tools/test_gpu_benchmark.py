"""The GPU benchmark's code runs on the processor, both sides learn alike, and without a device it says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.py"


def called(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *words], capture_output=True, text=True, check=False)


def test_both_sides_of_a_toy_have_the_same_losses() -> None:
    pytest.importorskip("accelerate")
    pytest.importorskip("peft")
    made = called("--smoke")
    assert made.returncode == 0, made.stderr[-2000:]
    lines = [json.loads(line) for line in made.stdout.splitlines() if line.startswith('{"case"')]
    assert [(line["case"], line["side"]) for line in lines] == [
        ("toy-lora", "tunewright"),
        ("toy-lora", "Trainer + peft"),
        ("toy-full", "tunewright"),
        ("toy-full", "Trainer + peft"),
    ]
    for mine, theirs in (lines[:2], lines[2:]):
        assert mine["losses"] == pytest.approx(theirs["losses"], rel=1e-3)
        assert len(mine["losses"]) == 5
        assert mine["work_per_token"] == theirs["work_per_token"]


def test_without_a_device_it_refuses() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a device")
    made = called("--only", "1b-lora")
    assert made.returncode == 2
    assert "needs a CUDA device" in made.stderr
