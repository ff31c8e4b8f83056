"""A run with no strategy named against its own frozen probe: eight rows per class and nothing else, all-MiniLM-L6-v2.

python benchmarks/default_strategy.py [--only emotion …] [--seeds 5] [--part 0/2]

Each draw's rows are split by the run itself: 15 % choose, the rest train, as for anybody who names nothing. Both sides are the
same run's: what it saves, and the linear probe on the untouched network that it reports beside. 1,000 test rows.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path
from typing import Any

from common import Rows, difference, few_per_class, grouped, mine, once, read_rows, results, spread

MODEL = "all-MiniLM-L6-v2"
FILE = "default_strategy.jsonl"
SHOTS = 8
TESTED = 1000
# Data set -> the parts that rows are drawn from and tested on; of one file, what is not drawn is tested on.
SETS = {"emotion": ("train", "test"), "banking77": ("train", "test"), "sst2": ("train", "test"), "ag_news": ("test", "test")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--part", default="0/1")
    options = parser.parse_args()
    jobs = [(name, seed) for seed in range(options.seeds) for name in options.only]
    for name, seed in mine(jobs, options.part):
        once(FILE, f"{name} {seed}", lambda name=name, seed=seed: measured(name, seed), data=name, seed=seed)  # type: ignore[misc]


def drawn(name: str, seed: int) -> tuple[Rows, Rows]:
    """Rows to learn from and rows to test on, none of them in both."""
    source, tested = SETS[name]
    train = few_per_class(read_rows(name, source), SHOTS, seed)
    known = {row["text"] for row in train}
    rest = [row for row in read_rows(name, tested) if row["text"] not in known]
    return train, random.Random(seed).sample(rest, TESTED)


def measured(name: str, seed: int) -> dict[str, Any]:
    import tunewright

    train, test = drawn(name, seed)
    with tempfile.TemporaryDirectory() as folder:
        run = tunewright.fit(
            train,
            model=MODEL,
            target="label",
            text="text",
            test=test,
            seed=seed,
            out=Path(folder) / "run",
            evaluation={"baselines": ("frozen",), "certify": False, "reports": ()},
            training={"checkpoints": False, "threads": 1, "precision": "float32"},
        )
        accuracy = {one["of"]: one["value"] for one in run.all_scores() if one["name"] == "accuracy"}
        losses = [event["scores"]["loss"] for event in run.history if event["kind"] == "evaluation"]
        return {
            "chosen": run.manifest["chosen"],
            "rows": len(train),
            "n": len(test),
            "saved": accuracy["fine-tuned"],
            "frozen": accuracy["frozen"],
            "verdict": run.manifest["verdict"],
            "best_step": run.details["steps"]["best"],
            "steps": run.details["steps"]["made"],
            "validation_losses": [round(loss, 4) for loss in losses],
        }


def section() -> str:
    """Accuracy of what a run saves that names nothing, and of its frozen probe."""
    rows = results(FILE)
    if not rows:
        return ""
    page = (
        "\n## No strategy named: eight rows per class\n\nall-MiniLM-L6-v2, accuracy on 1,000 test rows. *Saved*: what a run keeps that names no strategy "
        "(a linear probe, then LoRA, and the probe where LoRA did not beat it by the validation loss); *frozen*: the linear probe of the same run. 15 % of the "
        "rows choose, two of SST-2's sixteen. Difference in points, paired by seed, with the 95 % interval of the mean (t). Code: "
        "`benchmarks/default_strategy.py`.\n\n"
        "| rows of | saved | frozen | difference | smallest, largest | the probe was kept | seeds |\n|---|---|---|---|---|---|---|\n"
    )
    for (name,), runs in grouped(rows, "data").items():
        page += f"| {name} | {_cells(runs)} |\n"
    return page + (f"| all | {_cells(rows)} |\n" if len({row["data"] for row in rows}) > 1 else "")


def _cells(runs: list[dict[str, Any]]) -> str:
    gained = [100 * (row["saved"] - row["frozen"]) for row in runs]
    saved, frozen = (spread([row[side] for row in runs]) for side in ("saved", "frozen"))
    ends = f"{min(gained):+.1f}, {max(gained):+.1f}"
    kept = f"{sum(row['verdict'] is not None for row in runs)} of {len(runs)}"
    return f"{saved} | {frozen} | {difference(gained)} | {ends} | {kept} | {len(runs)}"


if __name__ == "__main__":
    main()
