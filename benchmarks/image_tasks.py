"""Networks with public weights adapted to other images, with few labeled rows: strategies against from scratch.

python benchmarks/image_tasks.py              # one line per run in results/image_tasks.jsonl
python benchmarks/image_tasks.py --sizes 10   # some of them

Sources are CIFAR-10 (public weights) and, for digits, the same network first fine-tuned on 2,000 of MNIST's. A seed draws the
labeled rows and 50 more to choose by; 1,000 test rows are the same for all. Every image is brought to 32 pixels a side, as the
source has them. Photographs of insects are given to the backbone of a detector (ShuffleNet V2, COCO) as well, at 160 pixels.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
import warnings
import zipfile
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import resnet_cifar
import shufflenet
from common import DATA, done, machine, write

FILE = "image_tasks.jsonl"
SIZES = {10: (60, 10), 100: (30, 32), 1000: (10, 32)}  # rows: epochs, rows of a batch
CHOSEN_BY, TESTED = 50, 1000
# Rates for a network of this kind (AdamW), the same for every set: guesses, not tuned on any of them.
ARMS: dict[str, dict[str, Any]] = {
    "from scratch": {"method": "full", "optimization": {"learning_rate": 3e-3, "head_learning_rate": 3e-3}},
    "feature-extraction": {"strategy": "feature-extraction"},
    "full": {"strategy": "full", "optimization": {"learning_rate": 1e-3, "head_learning_rate": 3e-3}},
    "gradual-unfreezing": {"strategy": "gradual-unfreezing", "optimization": {"learning_rate": 2e-3, "head_learning_rate": 5e-3}},
    "lora": {"strategy": "lora", "optimization": {"learning_rate": 5e-3, "head_learning_rate": 5e-3}},
}
PHOTOGRAPHS = "hymenoptera, ShuffleNet"
TASKS = ("fashion_mnist", "pneumoniamnist", "hymenoptera", PHOTOGRAPHS, "usps", "usps after mnist")

Part = tuple[Any, np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    about = machine()
    for seed in options.seeds:
        for size in options.sizes:
            for task in options.tasks:
                for arm, settings in ARMS.items():
                    key = f"{task}|{size}|{arm}|{seed}"
                    if key in done(FILE) or (arm == "from scratch" and task == "usps after mnist"):
                        continue
                    line = one(task, size, arm, settings, seed)
                    if line is not None:
                        write(FILE, key, {"task": task, "rows": size, "arm": arm, "seed": seed, **line, **about})
                        print(key, line, flush=True)


def one(task: str, size: int, arm: str, settings: dict[str, Any], seed: int) -> dict[str, Any] | None:
    """One run's accuracy on the test rows; None where the set has too few rows."""
    insects = task == PHOTOGRAPHS
    train, test = load(task if insects else task.split()[0])
    if len(train[1]) < size + CHOSEN_BY:
        return None
    order = drawn(train[1], size, seed)
    network = shufflenet if insects else resnet_cifar
    module = network.from_scratch(seed) if arm == "from scratch" else after_mnist() if "after" in task else source(insects)
    started = time.perf_counter()
    learned, chosen_by = taken(train, order[:size]), taken(train, order[size:])
    reads, still = network.preprocessing(), arm != "from scratch"
    run, folder = fitted(module, reads, learned, chosen_by, test, settings, seed, SIZES[size], still)
    scores = {one.name: one.value for one in run.scores}
    seconds = run.details["time"]["training_seconds"]
    shutil.rmtree(folder)
    return {
        "accuracy": scores["accuracy"],
        "macro_f1": scores["macro_f1"],
        "training_seconds": round(seconds, 1),
        "seconds": round(time.perf_counter() - started, 1),
    }


def fitted(
    module: Any,
    reads: Any,
    train: Part,
    chosen_by: Part,
    test: Part,
    settings: dict[str, Any],
    seed: int,
    plan: tuple[int, int],
    still: bool,
) -> tuple[Any, str]:
    import tunewright

    folder = tempfile.mkdtemp()
    run = tunewright.fit(
        columns(train),
        validation=columns(chosen_by),
        test=columns(test),
        model={"source": module, "freeze_batch_norm": still},
        preprocessing=reads,
        seed=seed,
        out=Path(folder) / "run",
        training={"epochs": plan[0], "batch_size": plan[1], "checkpoints": False, "threads": 1, "precision": "float32"},
        evaluation={"certify": False, "reports": (), "baselines": (), "resamples": 100},
        **settings,
    )
    return run, folder


@cache
def source(insects: bool = False) -> Any:
    if insects:
        return shufflenet.pretrained(DATA / "weights" / "fastestdet" / "fastestdet_coco.safetensors")
    return resnet_cifar.pretrained(DATA / "weights" / "resnet_cifar10" / "resnet20.safetensors")


@cache
def after_mnist() -> Any:
    """The source, everything fine-tuned on 2,000 digits: its body, under the untouched old head."""
    (pixels, labels), _ = load("mnist10k")
    order = np.random.default_rng(0).permutation(len(labels))
    run, folder = fitted(
        source(),
        resnet_cifar.preprocessing(),
        taken((pixels, labels), order[:2000]),
        taken((pixels, labels), order[2000:2200]),
        taken((pixels, labels), order[2200:2700]),
        ARMS["full"],
        0,
        (4, 32),
        True,
    )
    trained = run.model.network.inner.module
    print("after mnist:", {one.name: one.value for one in run.scores}, flush=True)
    shutil.rmtree(folder)
    return trained


@cache
def load(name: str) -> tuple[Part, Part]:
    """All training rows and the tested ones."""
    if name in ("hymenoptera", PHOTOGRAPHS):
        return photographs(DATA / "hymenoptera" / "hymenoptera_192px.zip", 64 if name == "hymenoptera" else 160)
    path = next((DATA / name).glob("*.npz"))
    with np.load(path, allow_pickle=False) as arrays:
        held = {key: arrays[key] for key in arrays.files}
    parts = {}
    for part in ("train", "test"):
        pixels = next((held[key] for key in held if part in key and held[key].ndim > 2), None)
        labels = next((held[key] for key in held if part in key and held[key].ndim <= 2 and held[key].dtype.kind in "iu"), None)
        if pixels is not None and labels is not None:
            parts[part] = (eight_bits(pixels), labels.reshape(-1))
    if "train" not in parts:  # one part only
        pixels = next(value for value in held.values() if value.ndim > 2)
        labels = next(value for value in held.values() if value.ndim == 1 and value.dtype.kind in "iu")
        parts["train"] = parts["test"] = (eight_bits(pixels), labels)
    chosen = np.random.default_rng(0).permutation(len(parts["test"][1]))[:TESTED]
    return parts["train"], taken(parts["test"], chosen)


def eight_bits(pixels: np.ndarray) -> np.ndarray:
    """0 … 255, whatever the scale; (n, height, width) or with channels."""
    if pixels.dtype == np.uint8:
        return pixels
    low, high = float(pixels.min()), float(pixels.max())
    scaled: np.ndarray = np.rint((pixels - low) / (high - low) * 255).astype(np.uint8)
    return scaled


def photographs(path: Path, side: int) -> tuple[Part, Part]:
    from PIL import Image

    found: dict[str, list[tuple[np.ndarray, int]]] = {"train": [], "val": []}
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            parts = Path(name).parts
            if name.lower().endswith((".jpg", ".png")):
                split = next(part for part in parts if part in found)
                image = Image.open(BytesIO(archive.read(name))).convert("RGB").resize((side, side))
                found[split].append((np.asarray(image), int("bees" in parts)))
    train, test = ((np.stack([one for one, _ in rows]), np.array([label for _, label in rows])) for rows in found.values())
    return train, test


def drawn(labels: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Rows to learn from, classes as even as they can be, and after them those to choose by."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(labels))
    turns = np.empty(len(order), dtype=np.int64)
    for label in np.unique(labels):
        mine = np.flatnonzero(labels[order] == label)
        turns[mine] = np.arange(len(mine))
    learnt = order[np.argsort(turns, kind="stable")][:size]
    rest = order[~np.isin(order, learnt)]
    return np.concatenate([learnt, rest[:CHOSEN_BY]])


def taken(part: Part, rows: np.ndarray) -> Part:
    return part[0][rows], part[1][rows]


def columns(part: Part) -> dict[str, Any]:
    return {"image": list(part[0]), "label": [str(label) for label in part[1]]}


if __name__ == "__main__":
    main()
