"""Every method on checkpoints of every precision is certified, or refused by name before it trains."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.pictures import wav
from tests.engine.toy import toy_rows
from tests.heads.test_detection import scenes as boxed
from tests.heads.test_segmentation import scenes as masked
from tests.runs.conftest import TEXTS
from tests.runs.test_certify import alter
from tunewright.artifacts import certificate as room
from tunewright.artifacts import outside
from tunewright.artifacts.model_folder import METADATA
from tunewright.core.errors import UserError
from tunewright.core.files import hash_file, read_json, read_tensors, write_json, write_tensors
from tunewright.models.tiny import tiny_model
from tunewright.models.tiny_audio import tiny_audio_model
from tunewright.models.tiny_images import tiny_image_model
from tunewright.pipeline import workflow
from tunewright.pipeline.workflow import CertificationError, fit
from tunewright.tasks.classification import task as classification

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
    monkeypatch.setattr(workflow, "certify", room.compare)
    run = workflow.resume(out)
    assert (run.manifest["status"], run.manifest["certified"]["equal"]) == ("done", True)
    assert "error" not in run.manifest


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_lines_that_do_not_name_the_precision_are_noticed(
    checkpoint: Callable[[str, str], Path], here: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, precision: str
) -> None:
    run = fit(toy_rows(24), model=str(checkpoint("bert", precision)), strategy="lora", out=tmp_path / "run", **QUICK)
    monkeypatch.setattr(outside, "_LABELS", outside._LABELS.replace("dtype=torch.float32", 'dtype="auto"'))
    proof = room.compare(run.folder)
    assert proof["equal"] is False
    assert proof["differences"]["tunewright"] == 0
    assert proof["differences"]["peft PeftModel"] > 1e-5


def classifier(model: Path) -> Path:
    """A published classifier: a head of two labels, in bfloat16."""
    from transformers import AutoModelForSequenceClassification

    AutoModelForSequenceClassification.from_pretrained(str(model), num_labels=2).to(torch.bfloat16).save_pretrained(str(model))
    return model


def detector(model: Path) -> Path:
    from transformers import AutoModelForObjectDetection

    AutoModelForObjectDetection.from_pretrained(str(model), num_labels=5).save_pretrained(str(model))
    return model


def segmenter(model: Path) -> Path:
    """Its head holds a batch norm, whose means are no parameters."""
    from transformers import AutoModelForSemanticSegmentation

    whole = AutoModelForSemanticSegmentation.from_pretrained(str(model), num_labels=7)
    whole.decode_head.batch_norm.running_mean.fill_(0.3)
    whole.save_pretrained(str(model))
    return model


LABELLED: dict[str, tuple[Callable[[Path], Path], Callable[[], Any], list[str]]] = {
    "bert": (lambda at: classifier(tiny_model("bert", at)), lambda: toy_rows(24), ["money", "mood", "post"]),
    "llama": (lambda at: classifier(tiny_model("llama", at)), lambda: toy_rows(24), ["money", "mood", "post"]),
    "yolos": (lambda at: detector(tiny_image_model("yolos", at)), lambda: boxed(24), ["cat", "dog"]),
    "segformer": (
        lambda at: segmenter(tiny_image_model("segformer", at)),
        lambda: dict(zip(("image", "mask"), masked(24), strict=True)),
        ["0", "1"],
    ),
}
ALONE = 'import sys\nsys.modules["tunewright"] = None\n'  # any import of it fails


def typed(run: Path, more: str) -> Any:
    """What a process gets by the card's lines, and some more, in which tunewright cannot be imported."""
    found = re.search(r"```python\n(.*?)```", (run / "README.md").read_text(), re.DOTALL)
    assert found is not None
    assert "tunewright" not in found[1]
    lines = f"{ALONE}{found[1]}\nimport json\nprint(json.dumps({more}))"
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-W", "ignore", "-c", lines]
    done = subprocess.run(command, cwd=run, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.parametrize("family", LABELLED)
def test_a_checkpoint_whose_head_has_other_labels_is_certified_and_opens_by_the_card(
    here: None, tmp_path: Path, family: str
) -> None:
    make, rows, names = LABELLED[family]
    model = str(make(tmp_path / family))
    run = fit(rows(), model=model, strategy="lora", out=tmp_path / "run", **QUICK)
    proof = run.manifest["certified"]
    assert (proof["equal"], proof["with"]) == (True, ["tunewright", "peft PeftModel"])
    config = read_json(run.folder / "model" / "base" / "config.json")
    assert list(config["id2label"].values()) == names
    card = (run.folder / "README.md").read_text()
    assert f"`num_labels={len(names)}`: {', '.join(names)}." in card
    assert "Tried in a fresh process without tunewright: logits differ by" in card
    assert list(typed(run.folder, "model.config.id2label").values()) == names


def test_the_cards_lines_predict_as_the_run_does(checkpoint: Callable[[str, str], Path], here: None, tmp_path: Path) -> None:
    run = fit(toy_rows(24), model=str(checkpoint("llama classification", "bfloat16")), strategy="lora", out=tmp_path / "run",
              **QUICK)  # fmt: skip
    asked = [row["text"] for row in toy_rows(6, seed=9)]
    read = f"**tokenizer({asked!r}, padding=True, return_tensors='pt')"
    assert "AutoPeftModelForSequenceClassification" in (run.folder / "README.md").read_text()
    logits = typed(run.folder, f"model({read}).logits.tolist()")
    shares = torch.tensor(logits).softmax(-1)
    predicted = run.predict(asked)
    assert [one["predicted"] for one in predicted] == [run.model.labels.names[at] for at in shares.argmax(-1)]
    assert [one["probability"] for one in predicted] == pytest.approx(shares.amax(-1).tolist(), abs=1e-5)


def test_ours_can_really_not_be_imported_where_the_lines_run(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("```python\nimport " + "tune" + "wright\n```")
    with pytest.raises(AssertionError):
        typed(tmp_path, "1")
    lines = f"{ALONE}import tunewright"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=False)
    assert "import of tunewright halted" in done.stderr


def test_the_fresh_process_reports_lines_that_fail(save: Callable[..., Any]) -> None:
    saved = save("bert", "native", "lora")
    room.write_probe(saved.folder, saved.network, classification, None, TEXTS, 32)
    config = read_json(saved.model / "base" / "config.json")
    write_json(saved.model / "base" / "config.json", config | {"id2label": {"0": "x"}, "label2id": {"x": 0}})
    metadata = read_json(saved.model / METADATA)
    metadata["sha256"]["base/config.json"] = hash_file(saved.model / "base" / "config.json")
    write_json(saved.model / METADATA, metadata)
    proof = room.certify(saved.folder)
    assert proof["equal"] is False
    assert proof["differences"] == {"tunewright": 0.0, "peft PeftModel": None}
    assert proof["error"]


@pytest.mark.parametrize("name", ["__import__('os').system('true')", "AutoModel; 1", "AutoModelForX\n"])
def test_a_class_that_is_none_is_never_typed(save: Callable[..., Any], name: str) -> None:
    saved = save()
    metadata = read_json(saved.model / METADATA)
    metadata["form"]["auto"] = name
    write_json(saved.model / METADATA, metadata)
    with pytest.raises(ValueError, match="no auto class"):
        outside.ways(saved.folder)
