"""A run finds its base model from any working directory, and refuses another in its place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import tunewright
from tests.engine.toy import toy_rows
from tunewright.core.errors import UserError
from tunewright.core.files import read_json, read_tensors, write_tensors
from tunewright.core.types import Labels
from tunewright.models.loading import load_network
from tunewright.models.sources import lasting, openable
from tunewright.pipeline.workflow import fit, reproduce, resume

QUICK: dict[str, Any] = {
    "data": {"near_duplicates": "ignore"},
    "training": {"max_steps": 2, "batch_size": 8},
    "evaluation": {"baselines": (), "reports": (), "resamples": 100, "certify": False},
}


@pytest.fixture
def started(tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model in it, in which a run was made of the model's relative path; the working directory is another."""
    at = tmp_path / "first"
    shutil.copytree(tiny_bert, at / "models" / "bert")
    monkeypatch.chdir(at)
    fit(toy_rows(24), model="models/bert", strategy="lora", out="run", **QUICK)
    (tmp_path / "second").mkdir()
    monkeypatch.chdir(tmp_path / "second")
    return at


def other_weights(model: Path) -> None:
    tensors = read_tensors(model / "model.safetensors")
    next(iter(tensors.values())).view(-1)[0] += 1
    write_tensors(model / "model.safetensors", tensors, {"format": "pt"})


def test_a_relative_path_is_kept_absolute_everywhere(started: Path) -> None:
    place = str(started / "models" / "bert")
    run = tunewright.load(started / "run")
    assert run.recipe.model.source == place
    assert run.manifest["base"]["source"] == run.manifest["asked"]["model"]["source"] == place
    assert read_json(started / "run" / "model" / "adapter_config.json")["base_model_name_or_path"] == place
    assert read_json(started / "run" / "model" / "tunewright.json")["base"]["source"] == place
    assert len(run.predict(["my card is lost"])) == 1
    assert "base_model:" not in (started / "run" / "README.md").read_text()  # a path is no name on a hub
    assert reproduce(started / "run", out="again").equal


def test_another_model_of_the_same_relative_path_is_not_taken(started: Path, tiny_bert: Path) -> None:
    shutil.copytree(tiny_bert, "models/bert")
    other_weights(Path("models/bert"))
    assert reproduce(started / "run", out="again").equal


@pytest.mark.parametrize("what", ["load", "reproduce", "resume"])
def test_other_weights_in_the_base_models_place_are_refused(started: Path, what: str) -> None:
    other_weights(started / "models" / "bert")
    if what == "resume":
        manifest = read_json(started / "run" / "manifest.json")
        (started / "run" / "manifest.json").write_text(json.dumps(manifest | {"status": "interrupted"}))
    doing = {
        "load": lambda: tunewright.load(started / "run").model,
        "reproduce": lambda: reproduce(started / "run", out="again"),
        "resume": lambda: resume(started / "run"),
    }
    with pytest.raises(UserError, match="its weights' hash differs"):
        doing[what]()
    assert not Path("again").exists()


def test_names_stay_and_folders_become_absolute(tmp_path: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_bert, tmp_path / "b")
    inside = str(tmp_path / "b")
    assert lasting("b") == lasting("./b") == lasting(inside) == openable("b") == inside
    assert lasting("org/name") == openable("org/name") == "org/name"
    assert lasting("text=b,table=table-transformer") == f"text={inside},table=table-transformer"
    assert lasting("a=,b") == "a=,b"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert lasting("~/b") == inside
    assert load_network("b", Labels("classification", ("a", "b"))).base == inside


def test_a_packaged_models_folder_is_what_others_open() -> None:
    from tunewright.models.sources import find_model

    try:
        folder = find_model("all-MiniLM-L6-v2")
    except UserError:
        pytest.skip("the packaged sentence encoder is not installed")
    assert openable("all-MiniLM-L6-v2") == str(folder)
    assert lasting("all-MiniLM-L6-v2") == "all-MiniLM-L6-v2"


def test_a_teacher_is_found_from_elsewhere(started: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(started)
    student = fit(toy_rows(24), model=str(tiny_bert), out="student", distillation={"teacher": "run"}, **QUICK)
    assert student.recipe.distillation is not None
    assert student.recipe.distillation.teacher == str(started / "run")
