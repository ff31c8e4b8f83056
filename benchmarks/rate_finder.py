"""The rate finder's error: its suggestion against the best of a sweep, on (data, strategy) pairs.

The error is in factors of two between suggested and best, and in accuracy points lost by following the suggestion.

    python benchmarks/rate_finder.py [--part 0/4]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from common import Rows, done, few_per_class, machine, mine, read_rows, write
from ulmfit_ablation import rows_of

FILE = "rate_finder.jsonl"
SWEEP = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
PAIRS = [("banking77", "lora"), ("sst2", "full"), ("sst2", "bitfit"), ("ag_news", "lora"), ("ag_news", "full")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", default="0/1")
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    options = parser.parse_args()
    jobs: list[tuple[str, str, float | None]] = [(data, strategy, rate) for data, strategy in PAIRS for rate in (None, *SWEEP)]
    for data, strategy, rate in mine(jobs, options.part):
        key = f"{data} {strategy} {'finder' if rate is None else f'{rate:g}'}"
        if key not in done(FILE):
            row = suggest(data, strategy, options.model) if rate is None else score(data, strategy, rate, options.model)
            write(FILE, key, {"data": data, "strategy": strategy, **row} | machine())
            print(key, row, flush=True)


def suggest(data: str, strategy: str, model: str) -> dict[str, Any]:
    """What the finder suggests, and what following it reaches."""
    from tunewright.pipeline.planning import find_rate
    from tunewright.pipeline.steps import InMemoryData
    from tunewright.pipeline.workflow import make_recipe

    train, _ = rows(data)
    recipe = make_recipe(model=model, target="label", text="text", strategy=strategy, seed=0)
    rate = find_rate(recipe, InMemoryData(train)).suggestion
    return {"suggested": rate, **score(data, strategy, rate, model)}


def score(data: str, strategy: str, rate: float, model: str) -> dict[str, Any]:
    """Test accuracy of a run at this rate."""
    import tunewright

    train, test = rows(data)
    with tempfile.TemporaryDirectory() as folder:
        run = tunewright.fit(
            train,
            model=model,
            target="label",
            text="text",
            strategy=strategy,
            test=test,
            seed=0,
            out=Path(folder) / "run",
            optimization={"learning_rate": rate},
            training={"checkpoints": False},
            evaluation={"baselines": (), "certify": False, "reports": ()},
        )
        return {"rate": rate, "accuracy": next(one.value for one in run.scores if one.name == "accuracy")}


def rows(data: str) -> tuple[Rows, Rows]:
    if data == "banking77":
        return few_per_class(read_rows(data, "train"), 10, 0), read_rows(data, "test")
    return rows_of(data, 300, 0)


if __name__ == "__main__":
    main()
