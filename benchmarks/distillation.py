"""What a teacher gives to a network of half its blocks: Banking77 with ten rows of each class, MiniLM's six blocks into three.

    python benchmarks/distillation.py [--seeds 0 1 2]     # one line per run in results/distillation.jsonl

Arms, all tuned as a whole for as many epochs on the same rows: the teacher; a student of its blocks 0, 2 and 4 with the true labels alone;
and the same student with nine parts of ten of the loss from the teacher. 200 other rows choose the epoch, 1,000 are the test; seconds
are the processor's, on one thread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from common import Rows, done, few_per_class, machine, read_rows, write

FILE = "distillation.jsonl"
MODEL = "all-MiniLM-L6-v2"
BLOCKS = (0, 2, 4)
ARMS = ("teacher", "student", "distilled")
SHOTS, VALIDATION, TEST, EPOCHS = 10, 200, 1000, 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    options = parser.parse_args()
    for seed in options.seeds:
        left = [arm for arm in options.arms if f"banking77 {arm} {seed}" not in done(FILE)]
        if left:
            measure(seed, left)


def measure(seed: int, arms: list[str]) -> None:
    """The arms of one seed that are not measured yet; its teacher is made anew where only students are left."""
    known, test = read_rows("banking77", "train"), few_rows(read_rows("banking77", "test"), TEST)
    train = few_per_class(known, SHOTS, seed)
    chosen = {row["text"] for row in train}
    validation = few_rows([row for row in known if row["text"] not in chosen], VALIDATION)
    with tempfile.TemporaryDirectory() as folder:
        teacher = Path(folder) / "teacher"
        for arm in ("teacher", *(arm for arm in arms if arm != "teacher")):
            started = time.process_time()
            found = run(train, validation, test, arm, seed, teacher, Path(folder) / arm)
            seconds = round(time.process_time() - started, 1)
            if arm in arms:
                key = f"banking77 {arm} {seed}"
                write(FILE, key, {"task": "banking77", "arm": arm, "seed": seed, **found, "seconds": seconds} | machine())
                print(key, found, f"{seconds} s", flush=True)


def few_rows(rows: Rows, count: int) -> Rows:
    """Every so many of the rows, the same for every seed."""
    return rows[:: max(1, len(rows) // count)][:count]


def run(rows: Rows, validation: Rows, test: Rows, arm: str, seed: int, teacher: Path, out: Path) -> dict[str, Any]:
    """Accuracy on the test rows, and how long 1,000 of them take to predict."""
    import tunewright

    model: Any = MODEL if arm == "teacher" else {"source": str(teacher / "model"), "blocks": BLOCKS}
    sections = {"distillation": {"teacher": str(teacher)}} if arm == "distilled" else {}
    made = tunewright.fit(
        rows,
        validation=validation,
        test=test,
        model=model,
        strategy="full",
        seed=seed,
        out=out,
        data={"near_duplicates": "ignore"},
        training={"epochs": EPOCHS, "precision": "float32", "threads": 1, "checkpoints": False},
        evaluation={"certify": False, "reports": (), "baselines": ()},
        **sections,
    )
    accuracy = next(one.value for one in made.scores if one.name == "accuracy")
    started = time.process_time()
    made.predict([row["text"] for row in test])
    return {"accuracy": accuracy, "rows": len(rows), "n": len(test), "predicting": round(time.process_time() - started, 2)}


if __name__ == "__main__":
    main()
