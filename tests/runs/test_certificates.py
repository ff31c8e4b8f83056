"""Every method on checkpoints of every precision is certified, or refused by name before it trains."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.pictures import wav
from tests.engine.toy import toy_rows
from tests.runs.test_certify import alter
from tunewright import workflow
from tunewright.core.errors import UserError
from tunewright.core.files import read_json, read_tensors, write_json, write_tensors
from tunewright.models.tiny import tiny_model
from tunewright.models.tiny_audio import tiny_audio_model
from tunewright.models.tiny_images import tiny_image_model
from tunewright.runs import certify as room
from tunewright.workflow import CertificationError, fit

pytest.importorskip("peft")
# peft asks transformers for it by a name that transformers is about to change
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

PRECISIONS = ("float32", "bfloat16", "float16")
METHODS = ("lora", "dora", "ia3", "prefix", "prompt", "adapter", "full")
VIRTUAL_WORDS = {"prefix": "puts virtual words before a text", "prompt": "puts virtual words before a text"}
QUICK: dict[str, Any] = {
    "data": {"near_duplicates": "ignore"},
    "training": {"max_steps": 2, "batch_size": 8},
    "evaluation": {"baselines": (), "reports": (), "resamples": 100},
}


def sounds(folder: Path) -> Path:
    """Clips of noise and what is said in them."""
    generator, lines = np.random.default_rng(0), ["path,sentence"]
    for number in range(24):
        (folder / f"{number}.wav").write_bytes(wav(0.1 * generator.standard_normal(4000)))
        lines.append(f"{number}.wav,{'abcd'[number % 4]}{'dcba'[number // 4 % 4]}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    return folder / "rows.csv"


def pictures(_: Path) -> tuple[np.ndarray, list[str]]:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3)).astype(np.uint8)
    return pixels, [("cat", "dog", "emu")[number % 3] for number in range(24)]


def talks(_: Path) -> list[dict[str, str]]:
    return [{"instruction": row["text"], "output": f"{row['label']} {row['text'][-3:]}"} for row in toy_rows(24)]


def texts(_: Path) -> list[dict[str, str]]:
    return toy_rows(24)


# Model and task -> family, what makes it, rows.
CASES: dict[str, tuple[str, Callable[..., Path], Callable[[Path], Any]]] = {
    "llama classification": ("llama", tiny_model, texts),
    "llama language": ("llama", tiny_model, talks),
    "bert": ("bert", tiny_model, texts),
    "gpt2": ("gpt2", tiny_model, texts),
    "vit": ("vit", tiny_image_model, pictures),
    "whisper": ("whisper", tiny_audio_model, sounds),
}


def rounded(model: Path, precision: str) -> Path:
    """The checkpoint as it would have been published in another precision."""
    tensors = {name: value * 3 if value.ndim > 1 else value for name, value in read_tensors(model / "model.safetensors").items()}
    kept = {name: value.to(getattr(torch, precision)) if value.is_floating_point() else value for name, value in tensors.items()}
    write_tensors(model / "model.safetensors", kept, {"format": "pt"})
    write_json(model / "config.json", read_json(model / "config.json") | {"dtype": precision})
    return model


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    made: dict[tuple[str, str], Path] = {}

    def build(case: str, precision: str) -> Path:
        family, make, _ = CASES[case]
        if (family, precision) not in made:
            made[family, precision] = rounded(make(family, tmp_path_factory.mktemp(precision) / family), precision)
        return made[family, precision]

    return build


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate's own comparison, without the seconds that a fresh process takes to import torch."""
    monkeypatch.setattr(workflow, "certify", room.compare)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", CASES)
def test_certified_or_refused_by_name(
    checkpoint: Callable[[str, str], Path], here: None, tmp_path: Path, case: str, method: str, precision: str
) -> None:
    model, rows, out = checkpoint(case, precision), CASES[case][2](tmp_path), tmp_path / "run"
    if case in ("vit", "whisper") and method in VIRTUAL_WORDS:
        with pytest.raises(UserError, match=VIRTUAL_WORDS[method]):
            fit(rows, model=str(model), strategy=method, out=out, **QUICK)
        assert not (out / "history.jsonl").exists()
        return
    proof = fit(rows, model=str(model), strategy=method, out=out, **QUICK).manifest["certified"]
    assert proof["equal"] is True, proof
    assert proof["tolerance"] == 1e-5
    library = {"adapter": [], "full": ["transformers"]}.get(method, ["peft"])
    assert [name.split()[0] for name in proof["with"]] == ["tunewright", *library]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_weight_that_moved_fails_the_run_and_the_proof_is_kept(
    checkpoint: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, precision: str
) -> None:
    write_probe = workflow.write_probe

    def write_and_alter(folder: Path, *arguments: Any) -> None:
        write_probe(folder, *arguments)
        alter(folder / "model", "adapter_model.safetensors", place="classifier.bias")

    monkeypatch.setattr(workflow, "write_probe", write_and_alter)
    out = tmp_path / "run"
    with pytest.raises(CertificationError, match="does not predict as the trained one"):
        fit(toy_rows(24), model=str(checkpoint("bert", precision)), strategy="lora", out=out, **QUICK)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["status"] == "failed"
    assert "does not predict" in manifest["error"]
    assert manifest["certified"]["equal"] is False
    assert all(value > 1e-2 for value in manifest["certified"]["differences"].values())
    assert list(manifest["certified"]["differences"]) == ["tunewright", "peft PeftModel"]
    assert "**not as trained**" in (out / "README.md").read_text()
    monkeypatch.undo()
    run = workflow.resume(out)
    assert (run.manifest["status"], run.manifest["certified"]["equal"]) == ("done", True)
    assert "error" not in run.manifest
