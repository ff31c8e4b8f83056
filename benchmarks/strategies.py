"""Each strategy at its own defaults on Banking77: all rows (one seed), and 10 per class (10 seeds for four, 3 for the rest).

python benchmarks/strategies.py [--setting full|10-shot] [--only lora …] [--part 0/4]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from common import done, few_per_class, machine, mine, read_rows, write

MODEL = "all-MiniLM-L6-v2"
TEN_SEEDS = ("feature-extraction", "full", "lp-ft", "lora")
FILE = "strategies.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setting", choices=("full", "10-shot"), nargs="*", default=["full", "10-shot"])
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--part", default="0/1")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--file", default=FILE)
    options = parser.parse_args()
    from tunewright.strategies import list_strategies

    names = options.only or [strategy.name for strategy in list_strategies()]
    jobs = [
        (setting, name.replace("_", "-"), seed)
        for setting in options.setting
        for name in names
        for seed in (range(1) if setting == "full" else range(10 if name.replace("_", "-") in TEN_SEEDS else 3))
    ]
    jobs.sort(key=lambda job: job[2])  # by seed, so that a table that is not finished yet is balanced
    for setting, name, seed in mine(jobs, options.part):
        key = f"{setting} {name} {seed}"
        if key not in done(options.file):
            measure(key, setting, name, seed, options)


def measure(key: str, setting: str, strategy: str, seed: int, options: argparse.Namespace) -> None:
    import tunewright

    rows, test = read_rows("banking77", "train"), read_rows("banking77", "test")
    train = rows if setting == "full" else few_per_class(rows, 10, seed)
    with tempfile.TemporaryDirectory() as folder:
        run = tunewright.fit(
            train,
            model=options.model,
            target="label",
            text="text",
            strategy=strategy,
            test=test,
            seed=seed,
            out=Path(folder) / "run",
            data={"validation_size": 0.1},
            evaluation={"baselines": ("frozen",), "certify": False, "reports": (), "resamples": 1000},
            training={"checkpoints": False},
        )
        scores = {entry["of"]: entry for entry in run.all_scores() if entry["name"] == "accuracy"}
        details = run.details
        row = {
            "setting": setting,
            "precision": run.recipe.training.precision,
            "strategy": strategy,
            "seed": seed,
            "rows": len(train),
            "accuracy": scores["fine-tuned"]["value"],
            "low": scores["fine-tuned"]["low"],
            "high": scores["fine-tuned"]["high"],
            "n": scores["fine-tuned"]["n"],
            "frozen": scores["frozen"]["value"],
            "trained": sum(layer["trainable"] for layer in details["layers"]),
            "seconds": round(details["time"]["training_seconds"], 2),
            "estimated_seconds": round(details["time"]["estimated_seconds"], 2),
            "best_step": details["steps"]["best"],
            "steps": details["steps"]["made"],
        }
    write(options.file, key, row | machine())
    print(key, row["accuracy"], f"{row['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
