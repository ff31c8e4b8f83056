"""Does torch.compile pay back inside a run? Seconds to compile, and per step, against eager, in turns on the same batches.

python benchmarks/compile.py
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

from common import done, few_per_class, machine, read_rows, write

FILE = "compile.jsonl"
LENGTHS, ROUNDS = 6, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    options = parser.parse_args()
    if "full" not in done(FILE):
        row = measure(options.model)
        write(FILE, "full", row | machine())
        print(row)


def measure(model: str) -> dict[str, Any]:
    """Forward and backward passes of full fine-tuning on batches of several lengths."""
    import torch

    from tunewright.datasets.encoded import batch, targets_of
    from tunewright.pipeline.steps import InMemoryData, apply_method, make_job, prepare_rows, set_up
    from tunewright.pipeline.workflow import make_recipe

    warnings.filterwarnings("ignore")
    rows = few_per_class(read_rows("banking77", "train"), 10, 0)
    recipe = make_recipe(model=model, target="label", text="text", strategy="full")
    setup = set_up(recipe, prepare_rows(recipe, InMemoryData(rows)))
    job = make_job(setup, apply_method(setup))
    setup.network.train()
    plan = sorted((window[0] for window in job.windows(0)), key=lambda part: job.train.encoded.lengths[part].max())
    batches = [plan[place * (len(plan) - 1) // (LENGTHS - 1)] for place in range(LENGTHS)]
    compiled: Any = torch.compile(setup.network, dynamic=True)

    def pass_seconds(network: Callable[..., Any]) -> float:
        started = time.perf_counter()
        for part in batches:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=setup.precision == "bfloat16"):
                logits = network(batch(job.train, part, setup.network.reads, setup.network.device)).float()
            wanted = targets_of(job.train, part, setup.network.device)
            job.head.losses(logits, wanted, setup.network.labels, job.head_settings, job.weights).sum().backward()
            setup.network.zero_grad(set_to_none=True)
        return (time.perf_counter() - started) / len(batches)

    first = pass_seconds(compiled) * len(batches)
    times = [(pass_seconds(setup.network), pass_seconds(compiled)) for _ in range(ROUNDS)]
    eager, fast = (statistics.median(column) for column in zip(*times, strict=True))
    saved = eager - fast
    return {
        "compile_seconds": round(first - fast * len(batches), 2),
        "eager_seconds": round(eager, 4),
        "compiled_seconds": round(fast, 4),
        "steps_to_pay_back": round((first - fast * len(batches)) / saved) if saved > 0 else None,
        "precision": setup.precision,
    }


if __name__ == "__main__":
    main()
