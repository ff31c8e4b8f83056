"""Memory of a run on a file of 1 GB: streamed and in memory, under the same limit, each run a process of its own.

    python benchmarks/streaming.py [--megabytes 1000] [--limit 2000]

Rows are queries of Banking77, joined to about 2 kB of one label. A run of 1 % of the rows says what model and training take by
themselves; the limit (RLIMIT_DATA, MiB) is on what a process allocates, and the peak counts pages read from the mapped file, too.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import multiprocessing
import os
import random
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from common import done, machine, read_rows, write

FILE = "streaming.jsonl"
ROW_BYTES, STEPS = 2000, 10
HELD_OUT = 523  # rows of validation, and of test, for each file: what they take does not depend on its size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--limit", type=int, default=2000)
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    options = parser.parse_args()
    for megabytes, streaming in itertools.product((max(1, options.megabytes // 100), options.megabytes), (True, False)):
        key = f"{megabytes} MB | {'streamed' if streaming else 'in memory'} | {options.limit} MiB"
        if key not in done(FILE):
            found = apart(megabytes, streaming, options)
            settings = {"megabytes": megabytes, "streaming": streaming, "limit_bytes": options.limit * 2**20, "steps": STEPS}
            write(FILE, key, settings | found | machine())
            print(key, found, flush=True)


def apart(megabytes: int, streaming: bool, options: argparse.Namespace) -> dict[str, Any]:
    """One run in a fresh process on a file that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        rows = write_rows(path, megabytes * 10**6)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            started = time.perf_counter()
            try:
                found = process.submit(trained, path, HELD_OUT / rows, streaming, options.limit * 2**20, options.model).result()
            except (MemoryError, BrokenProcessPool):
                found = {"peak_bytes": None}
            return {"rows": rows, "seconds": round(time.perf_counter() - started, 1), **found}


def write_rows(path: Path, size: int) -> int:
    """Rows up to a size in bytes; how many."""
    generator, rows = random.Random(0), read_rows("banking77", "train")
    texts: dict[str, list[str]] = {}
    for row in rows:
        texts.setdefault(row["label"], []).append(row["text"])
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        for count in itertools.count():
            if file.tell() >= size:
                return count
            label = generator.choice(sorted(texts))
            chosen = generator.choices(texts[label], k=ROW_BYTES // 50)
            writer.writerow((" ".join(chosen)[:ROW_BYTES], label))
    raise AssertionError


def trained(path: Path, share: float, streaming: bool, limit: int, model: str) -> dict[str, Any]:
    """A few steps from the file to the report; the peak of this process."""
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    os.environ["TUNEWRIGHT_CACHE"] = str(path.parent / "cache")
    import torch

    from tunewright import fit
    from tunewright.core.device import peak_memory

    fit(
        path,
        model=model,
        target="label",
        method="lora",
        out=path.parent / "run",
        data={
            "streaming": streaming,
            "near_duplicates": "ignore",
            "max_length": 64,
            "validation_size": share,
            "test_size": share,
        },
        training={
            "max_steps": STEPS,
            "batch_size": 8,
            "checkpoints": False,
            "cache": False,
            "precision": "float32",
            "threads": 1,
        },
        evaluation={"baselines": ["majority"], "certify": False, "reports": ()},
    )
    return {"peak_bytes": peak_memory(torch.device("cpu"))}


if __name__ == "__main__":
    main()
