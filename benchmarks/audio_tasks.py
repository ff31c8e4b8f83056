"""Does pre-training help with few sounds? Spoken digits by a speaker never heard, and thirty spoken words, ten clips of each.

python benchmarks/audio_tasks.py               # one line per run in results/audio_tasks.jsonl
python benchmarks/audio_tasks.py --check       # res8 on the words that it was trained for: are its features right?

res8-narrow: a residual network trained on Speech Commands by others (Tang and Lin 2018), as a module from Python with the cepstra that
it was trained on. A seed draws the training clips and, of the digits, the speaker of the test; a twentieth of the others' clips chooses
the epoch. Some of the thirty words' clips may be among those that it was trained on.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import DATA, once
from res8 import Res8, heard, preprocessing, pretrained

FILE = "audio_tasks.jsonl"
SEEDS = (0, 1, 2)
PER_DIGIT = 30  # training clips of each digit, from five speakers
ARMS = ("scratch", "feature-extraction", "full", "gradual-unfreezing")
EPOCHS = 12
WEIGHTS = DATA / "weights" / "honk_kws" / "res8_narrow.safetensors"
WORDS = DATA / "speech_commands_mini" / "speech_commands_mini.npz"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--arms", nargs="+", default=list(ARMS))
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    if options.check:
        right, total = heard(pretrained(WEIGHTS), WORDS)
        print(f"{right} of {total} right")
        return
    for task in ("speech_commands_mini", "fsdd"):
        for seed in SEEDS:
            for arm in options.arms:
                about = {"model": "res8-narrow", "task": task, "arm": arm, "seed": seed}
                once(FILE, f"res8-narrow|{task}|{arm}|{seed}", partial(res8, task, seed, arm), **about)


def digits(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Training and test arrays of spoken digits: one speaker is only heard in the test."""
    with np.load(DATA / "fsdd" / "fsdd.npz", allow_pickle=False) as archive:
        held = dict(archive)
    speakers, labels = held["speaker"], held["digit"]
    if speakers.dtype.kind in "iu":
        speakers = held["speaker_names"][speakers]
    names = sorted(set(speakers.tolist()))
    unseen = names[(2 * seed) % len(names)]
    generator = np.random.default_rng(seed)
    train = []
    for digit in range(10):
        rows = np.flatnonzero((labels == digit) & (speakers != unseen))
        train += generator.choice(rows, PER_DIGIT, replace=False).tolist()
    test = np.flatnonzero(speakers == unseen)
    return _part(held, np.sort(train), speakers), _part(held, test, speakers)


def _part(held: Any, rows: np.ndarray, speakers: np.ndarray) -> dict[str, Any]:
    starts = held["offsets"]
    clips = [held["audio"][starts[row] : starts[row + 1]] for row in rows]
    ends = np.cumsum([0, *map(len, clips)])
    plain = {"audio": np.concatenate(clips), "offsets": ends, "sample_rate": np.array(8000)}
    return plain | {"label": np.array([f"digit {value}" for value in held["digit"][rows]]), "speaker": speakers[rows]}


def res8(task: str, seed: int, arm: str) -> dict[str, Any]:
    """Accuracy of one way to tune on the test clips; random values have higher rates and twice the epochs."""
    import tunewright
    from tunewright.core.files import read_json

    scratch = arm == "scratch"
    torch.manual_seed(seed)
    module = Res8() if scratch else pretrained(WEIGHTS)
    with tempfile.TemporaryDirectory() as folder:
        rows: dict[str, Any] = {"data": {"near_duplicates": "ignore"}}
        train: Any = str(WORDS)
        if task == "fsdd":
            own, test = digits(seed)
            for name, part in (("train", own), ("test", test)):
                np.savez(Path(folder) / f"{name}.npz", **part)
            train, rows["test"] = str(Path(folder) / "train.npz"), str(Path(folder) / "test.npz")
            rows["data"] |= {"validation_size": 0.05}
        run = tunewright.fit(
            train,
            model={"source": module, "freeze_batch_norm": not scratch},
            preprocessing=preprocessing(),
            target="label",
            strategy="full" if scratch else arm,
            seed=seed,
            out=Path(folder) / "run",
            optimization={"learning_rate": 1e-2 if scratch else 1e-3, "head_learning_rate": 1e-2},
            training={"epochs": EPOCHS * (2 if scratch else 1), "batch_size": 16, "threads": 1, "precision": "float32"},
            evaluation={"baselines": (), "certify": False, "reports": ()},
            **rows,
        )
        accuracy = next(one.value for one in run.scores if one.name == "accuracy")
        counted = read_json(run.folder / "data.json")["rows"]
    return {"accuracy": accuracy, "rows": counted["train"], "test_rows": counted["test"]}


if __name__ == "__main__":
    main()
