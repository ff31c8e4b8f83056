"""What each strategy gains on SST-2 and what the sentence encoder loses meanwhile, on rows that it never saw.

500 training and 1,000 test rows of SST-2, each strategy at its own defaults; before and after, the rank correlation on STS-B and a
linear probe on Emotion and AG News, 500 rows each.

    python benchmarks/forgetting.py [--seeds 3] [--part 0/2]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from common import DATA, done, grouped, machine, mine, results, spread, write
from ulmfit_ablation import rows_of

FILE = "forgetting.jsonl"
ARMS: dict[str, dict[str, Any]] = {
    "feature-extraction": {"strategy": "feature-extraction"},
    "full": {"strategy": "full"},
    "lp-ft": {"strategy": "lp-ft"},
    "gradual-unfreezing": {"strategy": "gradual-unfreezing"},
    "partial": {"strategy": "partial"},
    "lora": {"strategy": "lora"},
    "bitfit": {"strategy": "bitfit"},
    "full + L2-SP": {"strategy": "full", "regularizers": ["l2_sp"]},
    "full + WiSE-FT at one half": {"strategy": "full", "averaging": [{"name": "wise_ft", "alpha": 0.5}]},
    "full at a rate of 1e-3": {"strategy": "full", "optimization": {"learning_rate": 1e-3}},
}
REFERENCES = ("stsb/en_test.csv.gz", "emotion/test.csv.gz", "ag_news/test.csv.gz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", default="0/1")
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    options = parser.parse_args()
    for seed, arm in mine([(seed, arm) for seed in range(options.seeds) for arm in ARMS], options.part):
        if f"{arm} {seed}" not in done(FILE):
            measure(arm, seed, options.model)


def measure(arm: str, seed: int, model: str) -> None:
    import tunewright

    train, test = rows_of("sst2", 500, seed)
    asked = {"name": "forgetting", "references": [str(DATA / path) for path in REFERENCES]}
    with tempfile.TemporaryDirectory() as folder:
        run = tunewright.fit(
            train,
            model=model,
            target="label",
            text="text",
            test=test,
            seed=seed,
            out=Path(folder) / "run",
            training={"checkpoints": False},
            evaluation={"baselines": (), "certify": False, "reports": [asked]},
            **ARMS[arm],
        )
        score = next(one for one in run.scores if one.name == "accuracy")
        report = run.reports["forgetting"]
        lost = {one["name"].removeprefix("forgotten_"): one for one in report["scores"] if one["name"].startswith("forgotten_")}
        row = {
            "arm": arm,
            "seed": seed,
            "accuracy": score.value,
            "low": score.low,
            "high": score.high,
            "n": score.n,
            "forgotten": {name: {key: one[key] for key in ("value", "low", "high", "n")} for name, one in lost.items()},
            "alignment": dict(report["charts"][0]["lines"][0][1]),
            "trained": sum(layer["trainable"] for layer in run.details["layers"]),
            "kwh": run.manifest["energy"]["kwh"],
            "seconds": round(run.details["time"]["training_seconds"], 2),
            "report_seconds": report["seconds"],
        }
    write(FILE, f"{arm} {seed}", row | machine())
    print(arm, seed, row["accuracy"], {name: round(one["value"], 4) for name, one in lost.items()}, flush=True)


def table() -> str:
    """The front: what was gained and what was lost."""
    rows = results(FILE)
    if not rows:
        return ""
    names = list(rows[0]["forgotten"])
    lines = [
        "\n## Gained and forgotten\n",
        f"SST-2 with 500 rows, 1,000 test rows, {len({row['seed'] for row in rows})} seeds; what the encoder lost on rows that it never saw, in points of rank correlation",
        "(STS-B) and of a linear probe's accuracy (Emotion, AG News), 500 rows each: less than 0 is gained. `python benchmarks/forgetting.py`\n",
        f"| strategy | accuracy | {' | '.join(f'lost on {name.partition(chr(47))[0]}' for name in names)} | least alignment of a block | trained | Wh |",
        f"|---|---|{'---|' * len(names)}---|---|---|",
    ]
    for (arm,), group in grouped(rows, "arm").items():
        lost = (spread([row["forgotten"][name]["value"] for row in group]) for name in names)
        moved = f"{min(min(row['alignment'].values()) for row in group):.2f}"
        energy = sum(row["kwh"] for row in group) / len(group) * 1000
        accuracy = spread([row["accuracy"] for row in group])
        lines.append(f"| {arm} | {accuracy} | {' | '.join(lost)} | {moved} | {group[0]['trained']:,} | {energy:.2g} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
