"""What a run was estimated to take, in time and memory, against what it took: each strategy.

    python benchmarks/estimate.py [--threads 1]      # one line per run in results/estimate.jsonl

Each run is a process of its own (``tunewright fit``), so that its peak is its own: two epochs on 1,000 rows of Banking77.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import done, machine, read_rows, write

FILE = "estimate.jsonl"
MODEL = "all-MiniLM-L6-v2"
ROWS = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    from tunewright.strategies import list_strategies

    for strategy in list_strategies():
        key = f"banking77 {strategy.name}"
        if key not in done(FILE):
            found = measure(strategy.name, options.threads)
            write(FILE, key, {"data": "banking77", "strategy": strategy.name, **found} | machine())
            print(key, found, flush=True)


def measure(strategy: str, threads: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows = read_rows("banking77", "train")
        rows = rows[:: len(rows) // ROWS][:ROWS]
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        command = [sys.executable, "-m", "tunewright", "fit", str(folder / "rows.jsonl"), "--model", MODEL, "--target", "label"]
        command += ["--strategy", strategy, "--out", str(folder / "run"), "--set", "training.epochs=2"]
        command += ["--set", f"training.threads={threads}", "--set", "evaluation.certify=false", "--set", "evaluation.reports=[]"]
        environment = {**os.environ, "TUNEWRIGHT_CACHE": str(folder / "features"), "OMP_NUM_THREADS": str(threads)}
        subprocess.run(command, env=environment, check=True, capture_output=True)
        details = json.loads((folder / "run" / "details.json").read_text(encoding="utf-8"))
        return {"rows": len(rows), **details["time"], **details["memory"]}


if __name__ == "__main__":
    main()
