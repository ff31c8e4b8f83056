"""ULMFiT's three ideas, one taken away at a time, on SST-2 and AG News with 100 and 500 rows, 5 seeds.

Source: Howard and Ruder 2018, table 6 (full, + discriminative, + slanted triangular, gradual unfreezing).

    python benchmarks/ulmfit_ablation.py [--part 0/4]
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path
from typing import Any

from common import Rows, done, machine, mine, read_rows, write

FILE = "ulmfit_ablation.jsonl"
EPOCHS = 12
TEST = 1000
DISCRIMINATIVE = {"layer_decay": 1 / 2.6}
TRIANGLE = {"schedule": {"name": "slanted_triangular"}}
PLAIN = {"schedule": {"name": "constant"}, "layer_decay": 1.0}
VARIANTS: dict[str, dict[str, Any]] = {
    "all three": {"optimization": {**DISCRIMINATIVE, **TRIANGLE}, "unfreezing": "gradual"},
    "no gradual unfreezing": {"optimization": {**DISCRIMINATIVE, **TRIANGLE}, "unfreezing": "none"},
    "no discriminative rates": {"optimization": {**PLAIN, **TRIANGLE}, "unfreezing": "gradual"},
    "no slanted triangle": {"optimization": {**PLAIN, **DISCRIMINATIVE}, "unfreezing": "gradual"},
    "none of them": {"rates": PLAIN, "unfreezing": "none"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", default="0/1")
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    options = parser.parse_args()
    jobs = [
        (data, size, variant, seed)
        for seed in range(5)  # first, so that a table that is not finished yet is balanced
        for size in (100, 500)
        for data in ("sst2", "ag_news")
        for variant in VARIANTS
    ]
    for data, size, variant, seed in mine(jobs, options.part):
        key = f"{data} {size} {variant} {seed}"
        if key not in done(FILE):
            measure(key, data, size, variant, seed, options.model)


def measure(key: str, data: str, size: int, variant: str, seed: int, model: str) -> None:
    import tunewright

    train, test = rows_of(data, size, seed)
    settings = VARIANTS[variant]
    with tempfile.TemporaryDirectory() as folder:
        run = tunewright.fit(
            train,
            model=model,
            target="label",
            text="text",
            test=test,
            seed=seed,
            out=Path(folder) / "run",
            method="full",
            optimization={"learning_rate": 1e-4, "head_learning_rate": 1e-3, **settings["rates"]},
            unfreezing=settings["unfreezing"],
            data={"validation_size": 0.1},
            training={"epochs": EPOCHS, "checkpoints": False},
            evaluation={"baselines": (), "certify": False, "reports": ()},
        )
        score = next(one for one in run.scores if one.name == "accuracy")
    row = {"data": data, "size": size, "variant": variant, "seed": seed, "accuracy": score.value, "n": score.n}
    write(FILE, key, row | machine())
    print(key, row["accuracy"], flush=True)


def rows_of(data: str, size: int, seed: int) -> tuple[Rows, Rows]:
    """``size`` training rows drawn with ``seed``, and 1,000 test rows that are the same for every seed."""
    if data == "sst2":
        pool, test = read_rows(data, "train"), random.Random(0).sample(read_rows(data, "test"), TEST)
    else:  # AG News has one file here: its first part is drawn from, the last rows are the test
        rows = read_rows(data, "test")
        random.Random(0).shuffle(rows)
        pool, test = rows[:-TEST], rows[-TEST:]
    return random.Random(seed).sample(pool, size), test


if __name__ == "__main__":
    main()
