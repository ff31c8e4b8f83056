"""A finished run's folder, made by hand: what the report and the card read."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

HOSTILE = '<script>alert("x")</script>\x1b[31m'


def sample_run(folder: Path, *, classes: int = 8, regression: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    names = [] if regression else [HOSTILE, *(f"a_long_class_name_{index}" for index in range(1, classes))]
    files = {
        "scores": _scores("mean_absolute_error" if regression else "accuracy"),
        "details": _details(names),
        "data": _data(names, "regression" if regression else "classification"),
        "manifest": _manifest(),
    }
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / "history.jsonl").write_text("".join(json.dumps(event) + "\n" for event in history()), encoding="utf-8")
    (folder / "recipe.yaml").write_text("version: 1\nseed: 0\n", encoding="utf-8")
    return folder


def history() -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [{"kind": "stage", "step": 0, "open_from": 7, "name": "head only"}]
    for step in range(1, 501):
        rate = {str(depth): 5e-5 * 0.8 ** (7 - depth) * (1 - step / 500) for depth in range(8)}
        loss = 2 * math.exp(-step / 120) + 0.1 * math.sin(step)
        place = {"step": step, "epoch": step // 100, "progress": step / 500, "seconds": step * 0.1}
        events.append({"kind": "step", **place, "loss": loss, "rate": rate, "grad_norm": 1.0})
        if step == 200:
            events.append({"kind": "stage", "step": step, "open_from": 4, "name": "top blocks"})
        if step % 100 == 0:
            scores = {"accuracy": 1 - loss / 4, "mean_absolute_error": loss, "loss": loss + 0.2}
            events.append({"kind": "evaluation", **place, "train_loss": loss, "scores": scores, "better": True})
    return events


def _scores(primary: str) -> dict[str, Any]:
    values = {"fine-tuned": (0.912, 0.89, 0.93), "frozen": (0.85, 0.82, 0.88), "majority": (0.125, 0.1, 0.15)}
    found = []
    for of, (value, low, high) in values.items():
        about = {"of": of, "n": 600, "unit": "share", "split": "test", "note": ""}
        found.append({"name": primary, "value": value, "low": low, "high": high, **about})
        found.append({"name": "roc_auc", "value": None, "low": None, "high": None, **about})
    gain = {"a": "fine-tuned", "b": "frozen", "metric": primary, "difference": 0.062, "low": 0.04, "high": 0.08}
    return {"primary": primary, "scores": found, "comparisons": [gain | {"p": 0.0001, "test": "McNemar, exact"}]}


def _details(names: list[str]) -> dict[str, Any]:
    many = len(names)
    measured = {"recall": 0.8, "f1": 0.85, "average_precision": 0.88, "support": 20, "predicted": 18}
    per_class = [{"name": name, "precision": 0.9, **measured} for name in names]
    if per_class:
        per_class[-1] |= {"precision": None, "recall": None, "f1": None, "average_precision": None, "support": 0}
    counts = [[20 if i == j else 3 if j == (i + 1) % many else 0 for j in range(many)] for i in range(many)]
    error = {"row": 7, "text": HOSTILE + " very long text" * 80, "target": "a", "predicted": "b", "probability": 0.98}
    layers = [{"name": f"block {d}", "depth": d, "parameters": 1_774_464, "trainable": 1_774_464 * (d > 3)} for d in range(1, 7)]
    layers = [{"name": "embeddings", "depth": 0, "parameters": 11_918_592, "trainable": 0}, *layers]
    layers.append({"name": "head", "depth": 7, "parameters": 3080, "trainable": 3080})
    return {
        "per_class": per_class,
        "confusion": {"names": names, "counts": counts} if names else None,
        "errors": [error, error | {"probability": None}],
        "layers": [layer | {"rate": 5e-5} for layer in layers],
        "time": {"estimated_seconds": 60, "training_seconds": 75.3},
        "memory": {"estimated_bytes": 2**30, "peak_bytes": 700 * 2**20},
        "work": ["Computed in bfloat16 with 2 threads: a batch of 32 rows took: float32 with 1 104 ms, bfloat16 with 2 34 ms."],
        "averaging": [{"name": "wise_ft", "said": "kept the end", "table": [["share", "accuracy"], [0.5, 0.9]]}],
        "findings": [{"code": "over-fitting", "message": "over-fitting: it rose by 20%", "level": "warning"}],
        "said": ["The text column is 'message'."],
    }


def _data(names: list[str], task: str) -> dict[str, Any]:
    schema = {"text": ["message"], "target": "label", "task": task, "ignored": ["id"], "said": []}
    truncated = {"train": 5, "validation": 0, "test": 1, "max_length": 128}
    rows = {"train": 1400, "validation": 300, "test": 600}
    return {"rows": rows, "labels": {"task": task, "names": names}, "schema": schema, "truncated": truncated, "findings": []}


def _manifest() -> dict[str, Any]:
    return {
        "strategy": "full",
        "versions": {"torch": "2.13.0"},
        "hardware": {"device": "x86_64", "cores": 2},
        "seed": 0,
        "data_hash": "ab" * 32,
        "base": {"source": "all-MiniLM-L6-v2", "hash": "cd" * 32, "pooling": "mean"},
        "code_hash": "ef" * 32,
        "parent": None,
        "created": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T00:02:00+00:00",
        "status": "done",
        "certified": {"equal": True, "largest_difference": 0.0, "with": ["transformers"]},
        "command": "tunewright fit rows.csv --target label",
    }
