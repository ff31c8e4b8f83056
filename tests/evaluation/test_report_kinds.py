"""The reports of trust on runs of tables, numbers, images and sounds: each that means something is made, with intervals."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.pictures import saved
from tests.engine.toy import toy_rows
from tunewright.analysis.reporting import means_something
from tunewright.core.registry import load_part
from tunewright.models.tiny_audio import tiny_audio_model
from tunewright.models.tiny_images import tiny_image_model
from tunewright.pipeline.examine import examine
from tunewright.pipeline.workflow import fit
from tunewright.runs.run import Run

NAMES = ("selective_prediction", "conformal", "out_of_distribution", "robustness", "shift", "nearest_examples")
QUICK: dict[str, Any] = {
    "method": "full",
    "optimization": {"learning_rate": 1e-3, "head_learning_rate": 1e-2},
    "training": {"epochs": 2, "batch_size": 8},
    "evaluation": {"resamples": 100, "certify": False, "baselines": (), "reports": ()},
}


def table(count: int, seed: int = 0) -> list[dict[str, Any]]:
    generator = random.Random(seed)
    rows = []
    for _ in range(count):
        age, job = generator.randint(18, 80), generator.choice(["clerk", "cook", "nurse"])
        income = None if generator.random() < 0.1 else round(generator.gauss(30, 10), 2)
        rows.append({"age": age, "income": income, "job": job, "label": "yes" if age > 45 or job == "nurse" else "no"})
    return rows


def examined(run: Run, expected: set[str], **settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every report that means something for the run."""
    schema, task = run.model.schema, run.model.labels.task
    names = [name for name in NAMES if means_something(load_part("reports", name), task, schema["kind"])]
    assert set(names) == expected
    found = {name: examine(run, name, **settings.get(name, {}))[name] for name in names}
    for name, one in found.items():
        assert one["error"] is None, f"{name}: {one['error']}"
        assert one["said"]
        for score in one["scores"]:
            assert score["value"] is not None or score["note"]
            assert score["low"] is None or score["low"] <= score["value"] <= score["high"]
    return found


def test_tables_lose_cells_and_have_columns_that_move(tmp_path: Path) -> None:
    run = fit(table(240), out=tmp_path / "run", target="label", **QUICK)
    with (tmp_path / "live.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["age", "income", "job"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**row, "age": row["age"] + 30} for row in table(200, 1))
    found = examined(run, set(NAMES), shift={"rows": str(tmp_path / "live.csv")})
    assert {one["name"] for one in found["robustness"]["scores"]} == {
        f"change_{n}_percent_of_cells_missing" for n in (10, 30, 50)
    }
    (moved,) = [one for one in found["shift"]["findings"] if one["code"] == "moved"]
    assert "age 4" in moved["message"]
    assert moved["count"] == 1


def test_numbers_have_intervals_and_no_sets(tiny_bert: Path, tmp_path: Path) -> None:
    rows = [{"text": row["text"], "score": float(len(row["text"])) / 7} for row in toy_rows(150)]
    run = fit(rows, model=str(tiny_bert), target="score", task="regression", out=tmp_path / "run", **QUICK)
    found = examined(run, set(NAMES) - {"selective_prediction"})
    assert {one["name"] for one in found["conformal"]["scores"]} == {"coverage_residual", "interval_width"}
    (answer,) = run.predict(["my card is late"], sets=0.8)
    low, high = answer["interval"]
    assert low < answer["predicted"] < high


def test_pictures_are_blurred(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for number in range(80):
        pixels = generator.integers(0, 60, (32, 40, 3)).astype(np.uint8)
        pixels[:16, :16] += np.uint8(150 * (number % 2))
        path = tmp_path / "set" / ("lit" if number % 2 else "dark") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(saved(pixels))
    model = tiny_image_model("resnet", tmp_path / "resnet")
    run = fit(tmp_path / "set", model=str(model), out=tmp_path / "run", **QUICK)
    found = examined(run, set(NAMES), shift={"most": 20})
    assert len(found["robustness"]["scores"]) == 5


def test_sounds_get_noise(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    generator, time = np.random.default_rng(0), np.arange(4000) / 8000
    tones = [0.3 * np.sin(2 * np.pi * (500 if number % 2 else 1500) * time) for number in range(60)]
    clips = [np.rint(32767 * (tone + 0.01 * generator.standard_normal(4000))).astype(np.int16) for tone in tones]
    labels = np.array([("high", "low")[number % 2] for number in range(60)])
    np.savez(tmp_path / "tones.npz", audio=np.stack(clips), sample_rate=8000, label=labels)
    model = tiny_audio_model("ast", tmp_path / "ast", layers=2)
    run = fit(str(tmp_path / "tones.npz"), model=str(model), out=tmp_path / "run", **QUICK)
    found = examined(run, set(NAMES), shift={"most": 20})
    assert len(found["robustness"]["scores"]) == 5
