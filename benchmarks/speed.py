"""Speed against what people use: each job in turns, ours and theirs, on the same rows, each run a process of its own.

    python benchmarks/speed.py [--peers-python PYTHON] [--only full lora …] [--repeats 3] [--threads 2]
    python benchmarks/speed.py --growth

``--peers-python`` is the interpreter of an environment with requirements/peers.txt; by default this one. Results are
appended to results/speed.jsonl, run by run, and what is there already is not measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import ROOT, Rows, done, few_per_class, machine, read_rows, write

FILE, GROWTH = "speed.jsonl", "growth.jsonl"
KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "4294967296", "MALLOC_MMAP_MAX_": "0"}


@dataclass(frozen=True)
class Side:
    """One way to do a job: the script's job and its options; ``environment`` is added to the process's own."""

    name: str
    script: str
    job: str
    options: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class TrainingContext:
    """Sides that do the same on ``rows`` training rows."""

    rows: int
    epochs: int
    sides: tuple[Side, ...]
    data: str = "banking77"
    few: bool = False  # ``rows`` of each class, drawn anew for each repeat


TUNED = tuple(KEPT_MEMORY.items())
JOBS = {
    "feature extraction, 5 epochs": TrainingContext(
        10003,
        5,
        (
            Side("tunewright", "ours.py", "feature_extraction"),
            Side("tunewright, second run", "ours.py", "feature_extraction", ("--cache", "kept")),
            Side("Trainer, frozen backbone", "peers.py", "trainer_feature_extraction"),
        ),
    ),
    "gradual unfreezing, 6 stages": TrainingContext(
        1500,
        6,
        (
            Side("tunewright", "ours.py", "gradual"),
            Side("tunewright without the cache", "ours.py", "gradual", ("--cache", "off")),
            Side("Lightning", "peers.py", "lightning_gradual", ("--opened", "0,1,2,3,4,5")),
        ),
    ),
    "LoRA r=8, 1 epoch": TrainingContext(
        3000,
        1,
        (
            Side("tunewright", "ours.py", "lora"),
            Side("tunewright, random head", "ours.py", "lora_random_head"),
            Side("Trainer + peft", "peers.py", "trainer_lora"),
            Side("Trainer + peft, 3 epochs", "peers.py", "trainer_lora", ("--epochs", "3")),
        ),
    ),
    "full, 1 epoch": TrainingContext(
        3000,
        1,
        (
            Side("tunewright", "ours.py", "full"),
            Side("tunewright, random head", "ours.py", "full_random_head"),
            Side("Trainer", "peers.py", "trainer_full"),
            Side("Trainer, allocator tuned", "peers.py", "trainer_full", (), TUNED),
            Side("Trainer, 3 epochs", "peers.py", "trainer_full", ("--epochs", "3")),
        ),
    ),
    "few-shot contrastive, 8-shot AG News": TrainingContext(
        8,
        1,
        (Side("tunewright", "ours.py", "few_shot", ("--epochs", "10")), Side("SetFit", "peers.py", "setfit_few_shot")),
        data="ag_news",
        few=True,
    ),
    "prediction, 10k rows": TrainingContext(
        10003,
        1,
        (Side("tunewright", "ours.py", "predict"), Side("pipeline", "peers.py", "pipeline_predict")),
    ),
    "embedding, 10k rows": TrainingContext(
        10003,
        1,
        (
            Side("tunewright", "ours.py", "encode"),
            Side("sentence-transformers", "peers.py", "sentence_transformers_encode"),
        ),
    ),
    "first result from a cold start, 500 rows": TrainingContext(
        500,
        3,
        (Side("tunewright fit", "cli", "full"), Side("Trainer script", "peers.py", "trainer_full")),
    ),
}
SIZES = (1000, 3000, 10003, 30009, 100030)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", default=sys.executable)
    parser.add_argument("--only", nargs="*", help="beginnings of job names")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    parser.add_argument("--growth", action="store_true", help="how our time grows from 1k to 100k rows")
    options = parser.parse_args()
    if options.growth:
        growth(options)
        return
    for name, job in JOBS.items():
        if options.only and not any(name.startswith(one) for one in options.only):
            continue
        for repeat in range(options.repeats):
            for side in job.sides[:: 1 if repeat % 2 == 0 else -1]:  # A B, B A: a slow minute meets both
                key = f"{name} | {side.name} | {repeat}"
                if key not in done(FILE):
                    found = run(job.epochs, side, options, *parts_of(job, repeat))
                    write(FILE, key, {"name": name, "side": side.name, "repeat": repeat, **found} | machine())
                    print(key, found["seconds"], found.get("accuracy"), flush=True)


def growth(options: argparse.Namespace) -> None:
    """Seconds of feature extraction, prediction and one epoch of LoRA against the rows, which come again after 10,003."""
    for size in SIZES:
        for job, most in (("feature_extraction", 100030), ("predict", 30009), ("lora", 10003)):
            key = f"{job} | {size}"
            if size <= most and key not in done(GROWTH):
                rows = list(taken(read_rows("banking77", "train"), size))
                found = run(1, Side("tunewright", "ours.py", job), options, rows, [])
                write(GROWTH, key, {"name": job, "rows": size, **found} | machine())
                print(key, found["seconds"], found["peak_bytes"], flush=True)


def parts_of(job: TrainingContext, repeat: int) -> tuple[Rows, Rows]:
    """Training and test rows of a job: a set's own parts, or few rows of each class and 1,000 others."""
    if not job.few:
        return list(taken(read_rows(job.data, "train"), job.rows)), read_rows(job.data, "test")
    rows = read_rows(job.data, "test")  # AG News is here as its test part alone
    chosen = few_per_class(rows, job.rows, repeat)
    held = [row for row in rows if row not in chosen]
    return chosen, random.Random(0).sample(held, 1000)


def run(epochs: int, side: Side, options: argparse.Namespace, train: Rows, test: Rows) -> dict[str, Any]:
    """One process; what it printed, and the seconds of all of it."""
    from tunewright.models.sources import find_model

    model = str(find_model(options.model))
    environment = {**os.environ, **dict(side.environment), "OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryDirectory() as folder:
        rows, held = Path(folder) / "rows.jsonl", Path(folder) / "test.jsonl"
        rows.write_text("".join(json.dumps(row) + "\n" for row in train))
        held.write_text("".join(json.dumps(row) + "\n" for row in test))
        if side.script == "cli":
            return first_result(rows, held, Path(folder), epochs, side, environment, options)
        python = options.peers_python if side.script == "peers.py" else sys.executable
        command = [python, str(ROOT / side.script), side.job, "--rows", str(rows), "--test", str(held), "--model", model]
        command += ["--threads", str(options.threads), "--epochs", str(epochs), *side.options]
        started = time.perf_counter()
        output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        found: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
        whole = round(time.perf_counter() - started, 2)
        timed = {"train_seconds": found["seconds"], "seconds": whole} if side.name.endswith("script") else {}
        return found | timed | {"process_seconds": whole}


def first_result(
    rows: Path, test: Path, folder: Path, epochs: int, side: Side, environment: dict[str, str], options: argparse.Namespace
) -> dict[str, Any]:
    """Seconds from starting the command to its scores on disk, and to its end with proof and report."""
    out = folder / "run"
    command = [sys.executable, "-m", "tunewright", "fit", str(rows), "--test", str(test), "--model", options.model]
    command += ["--target", "label", "--strategy", side.job, "--out", str(out), "--set", f"training.epochs={epochs}"]
    clock, started = time.time(), time.perf_counter()
    environment |= {"TUNEWRIGHT_CACHE": str(folder / "features")}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    whole = time.perf_counter() - started
    scores = json.loads((out / "scores.json").read_text())["scores"]
    accuracy = next(one["value"] for one in scores if one["of"] == "fine-tuned" and one["name"] == "accuracy")
    first = (out / "scores.json").stat().st_mtime - clock
    return {"seconds": round(first, 2), "process_seconds": round(whole, 2), "accuracy": accuracy}


def taken(rows: Rows, size: int) -> Iterator[dict[str, str]]:
    """The first rows in an order that mixes the classes, and again from the start where there are not enough."""
    mixed = few_per_class(rows, 1, 0) + sorted(rows, key=lambda row: hash_of(row["text"]))
    return (mixed[place % len(rows)] for place in range(size))


def hash_of(text: str) -> int:
    return sum((place + 1) * ord(character) for place, character in enumerate(text)) * 2654435761 % 2**32


if __name__ == "__main__":
    main()
