"""Small whole runs and what they end in: python -m tests.guard.runs OUT.json [NAME …].

Each is made twice: without a stop, and interrupted and resumed. Its line holds the losses of every step and evaluation, the
scores, the certificate and the SHA-256 of the saved weights of both.
"""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]
ROOT = Path(__file__).resolve().parents[2]
ZOO = ROOT / "zoo"
PLAIN = {"threads": 1, "precision": "float32", "batch_size": 8, "max_train_examples_seen": None}
INTERRUPTED_AT = 3
WORDS = {
    "card": ("card", "pin", "bank", "limit"),
    "loan": ("rate", "house", "term", "debt"),
    "trip": ("train", "hotel", "visa", "map"),
}


def texts(count: int, seed: int = 0) -> Rows:
    chosen = random.Random(seed)
    rows = []
    for place in range(count):
        label = sorted(WORDS)[place % 3]
        words = chosen.choices(WORDS[label], k=3) + chosen.choices(["the", "a", "my", "of", "to", "is"], k=4)
        chosen.shuffle(words)
        rows.append({"text": f"{' '.join(words)} {place}", "label": label})
    return rows


def two_columns(count: int) -> Rows:
    return [row | {"size": float(len(row["text"]) + place % 5)} for place, row in enumerate(texts(count))]


def answers(count: int) -> Rows:
    return [{"prompt": row["text"], "response": f"it is about a {row['label']}"} for row in texts(count)]


def preferences(count: int) -> Rows:
    return [
        {"prompt": row["text"], "chosen": f"a {row['label']} please", "rejected": f"no {row['label'][::-1]}"}
        for row in texts(count)
    ]


def images(count: int, side: int = 32) -> dict[str, list[Any]]:
    import numpy as np

    drawn = np.random.default_rng(0)
    pictures = drawn.integers(0, 120, (count, side, side, 3), dtype=np.uint8)
    labels = [("left", "right")[place % 2] for place in range(count)]
    for picture, label in zip(pictures, labels, strict=True):
        half = slice(0, side // 2) if label == "left" else slice(side // 2, side)
        picture[:, half] += 100
    return {"image": list(pictures), "label": labels}


def sounds(folder: Path, count: int) -> str:
    for place in range(count):
        name, pitch = (("high", 1200), ("low", 300))[place % 2]
        place_of = folder / name
        place_of.mkdir(parents=True, exist_ok=True)
        samples = [round(9000 * math.sin(2 * math.pi * (pitch + 7 * place) * time / 8000)) for time in range(2400)]
        with wave.open(str(place_of / f"{place}.wav"), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(8000)
            out.writeframes(b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples))
    return str(folder)


def table(count: int) -> Rows:
    chosen = random.Random(1)
    rows = []
    for _ in range(count):
        age, income, city = chosen.randint(18, 80), chosen.randint(900, 9000), chosen.choice(("Bern", "Rome", "Oslo"))
        rows.append({"age": age, "income": income, "city": city, "good": "yes" if income > 60 * age else "no"})
    return rows


def of_texts(work: Path, strategy: str, count: int = 48, **more: Any) -> dict[str, Any]:
    return {"data": texts(count), "model": bert(work), "strategy": strategy, "target": "label", **more}


def bert(work: Path) -> str:
    from tunewright.models.tiny import tiny_model

    folder = work / "bert"
    return str(folder if folder.is_dir() else tiny_model("bert", folder))


def of_language(work: Path, strategy: str) -> dict[str, Any]:
    return {"data": answers(24), "model": str(ZOO / "tiny-lm"), "strategy": strategy, "task": "causal_lm"}


def distilled(work: Path) -> dict[str, Any]:
    teacher = work / "teacher"
    if not teacher.is_dir():
        fit(of_texts(work, "full") | common(teacher, certify=False))
    return of_texts(work, "full", distillation={"teacher": str(teacher)})


RUNS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "text_full": lambda work: of_texts(work, "full"),
    "text_lora": lambda work: of_texts(work, "lora"),
    "text_gradual": lambda work: of_texts(work, "gradual-unfreezing"),
    "text_cached": lambda work: of_texts(work, "partial"),
    "text_frozen": lambda work: of_texts(work, "feature-extraction"),
    "text_averaged": lambda work: of_texts(work, "full", averaging=["ema"], regularizers=["l2_sp"]),
    "language_full": lambda work: of_language(work, "full"),
    "language_lora": lambda work: of_language(work, "lora"),
    "image_full": lambda work: {"data": images(24), "model": str(ZOO / "tiny-vision"), "strategy": "full", "target": "label"},
    "audio_full": lambda work: {"data": sounds(work / "sounds", 24), "model": str(ZOO / "tiny-audio"), "strategy": "full"},
    "table_full": lambda work: {
        "data": {"train": None, "kind": "table"},
        "rows": table(60),
        "model": str(ZOO / "tiny-table"),
        "strategy": "full",
        "target": "good",
    },
    "multi_task": lambda work: {
        "data": two_columns(48),
        "model": bert(work),
        "strategy": "full",
        "target": ["label", "size"],
        "task": "multi_task",
    },
    "distillation": distilled,
    "preference": lambda work: {
        "data": preferences(24),
        "model": str(ZOO / "tiny-lm"),
        "strategy": "lora",
        "task": "preference_optimization",
    },
}


def common(out: Path, *, certify: bool = True) -> dict[str, Any]:
    return {
        "out": out,
        "seed": 0,
        "training": {**PLAIN, "epochs": 2},
        "evaluation": {"reports": (), "baselines": (), "certify": certify},
        "near_duplicates": "ignore",
    }


def _positional(wanted: dict[str, Any]) -> dict[str, Any]:
    """The settings of one run as ``fit`` takes them; rows stand apart where a section of the recipe is named ``data``."""
    rest = dict(wanted)
    section = {"near_duplicates": rest.pop("near_duplicates")}
    if "rows" in rest:
        section |= {key: value for key, value in rest["data"].items() if value is not None}
        rows = rest.pop("rows")
    else:
        rows = rest["data"]
    return rest | {"data": section, "rows": rows}


def fit(wanted: dict[str, Any], **more: Any) -> Any:
    import tunewright

    settings = _positional(wanted)
    return tunewright.fit(settings.pop("rows"), **settings, **more)


def stopping(event: dict[str, Any]) -> None:
    if event["kind"] == "step" and event["step"] == INTERRUPTED_AT:
        os.kill(os.getpid(), 2)


def outcome(run: Any) -> dict[str, Any]:
    history = list(run.history)
    proof = run.manifest["certified"]
    return {
        "losses": [event["loss"] for event in history if event["kind"] == "step"],
        "validation": [event["scores"]["loss"] for event in history if event["kind"] == "evaluation"],
        "scores": [one.value for one in run.scores],
        "certified": [proof["equal"], proof["largest_difference"]],
        "weights": weights(run.folder / "model"),
    }


def weights(folder: Path) -> str:
    from tunewright.core.files import hash_json, read_tensors

    found = {}
    for path in sorted(folder.rglob("*.safetensors")):
        for name, tensor in read_tensors(path).items():
            found[f"{path.name}:{name}"] = [list(tensor.shape), tensor.double().flatten().tolist()]
    return hash_json(found)


def measure(name: str, work: Path) -> dict[str, Any]:
    """What a run ends in, and the weights it ends in after it was interrupted and resumed."""
    import tunewright
    from tests.listener import Listener

    found = outcome(fit(RUNS[name](work) | common(work / name)))
    try:
        fit(RUNS[name](work) | common(work / f"{name}-again", certify=False), callbacks=(Listener(stopping),))
    except BaseException as error:
        if type(error).__name__ not in ("Interrupted", "KeyboardInterrupt"):
            raise
    run = tunewright.resume(work / f"{name}-again")
    return found | {"resumed": weights(run.folder / "model")}


def sharded(work: Path) -> dict[str, Any]:
    """A run whose weights two processes share, under torchrun."""
    import tunewright

    rows, out = work / "rows.csv", work / "sharded"
    lines = ["text,label", *(f"{row['text']},{row['label']}" for row in texts(48))]
    rows.write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = ["shard=true", "threads=1", "precision=float32", "batch_size=8", "epochs=2", "max_train_examples_seen=null"]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "tunewright", "fit"]
    command += [str(rows), "--model", bert(work), "--target", "label", "--strategy", "full", "--seed", "0", "--out", str(out)]
    command += [part for one in settings for part in ("--set", f"training.{one}")]
    command += ["--set", "evaluation.reports=[]", "--set", "evaluation.baselines=[]", "--set", "data.near_duplicates=ignore"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return outcome(tunewright.load(out))


def measured(names: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    with tempfile.TemporaryDirectory() as temporary:
        for name in names or [*RUNS, "sharded"]:
            yield name, sharded(Path(temporary)) if name == "sharded" else measure(name, Path(temporary))


if __name__ == "__main__":
    results = dict(measured(sys.argv[2:]))
    Path(sys.argv[1]).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
