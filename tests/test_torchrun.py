"""The command line under torchrun: one run of two processes, and one that goes on after a process was killed."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.engine.toy import toy_rows
from tunewright.pipeline.workflow import load


def test_a_killed_process_ends_all_and_torchrun_continues_the_run(tiny_bert: Path, tmp_path: Path) -> None:
    rows = toy_rows(300)
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    out = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "--max-restarts",
        "1",
    ]
    command += ["-m", "tunewright", "fit", str(tmp_path / "rows.csv"), "--model", str(tiny_bert), "--target", "label"]
    command += [
        "--out",
        str(out),
        "--set",
        "training.epochs=12",
        "--set",
        "training.batch_size=4",
        "--set",
        "evaluation.reports=[]",
    ]
    quiet = os.environ | {"OMP_NUM_THREADS": "1"}
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=quiet)
    while not list(out.glob("checkpoints/step-[1-9]*")) and running.poll() is None:  # step 0 is the probe that is to be beaten
        time.sleep(0.05)
    victim = max(children(running.pid))
    os.kill(victim, signal.SIGKILL)
    said = running.communicate(timeout=600)[0]
    assert running.returncode == 0, said
    run = load(out)
    steps = [event["step"] for event in run.history if event["kind"] == "step"]
    assert steps == list(range(1, len(steps) + 1))
    assert run.finished
    assert run.manifest["certified"]["equal"]
    assert "continued after step" in said
    assert said.count("report  ") == 1  # the first process alone tells the result


def children(parent: int) -> list[int]:
    """The processes that a process started."""
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
