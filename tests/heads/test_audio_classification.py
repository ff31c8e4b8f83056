"""Sounds in classes, from a file to a certified model: speakers kept apart, sounds changed in training, seconds cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.listener import Listener
from tunewright.config.recipe import Recipe
from tunewright.core.errors import UserError
from tunewright.core.files import read_json
from tunewright.core.types import Labels
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.seconds import fit_seconds
from tunewright.models.tiny_audio import tiny_audio_model
from tunewright.pipeline.steps import InMemoryData, prepare_rows
from tunewright.pipeline.workflow import fit, make_recipe

pytest.importorskip("soundfile")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tones by six speakers of different loudness, 8 kHz, in one archive."""
    generator, time = np.random.default_rng(0), np.arange(4000) / 8000
    clips, labels, speakers = [], [], []
    for number in range(60):
        label, speaker = number % 2, number // 2 % 6
        tone = (0.1 + 0.1 * speaker) * np.sin(2 * np.pi * (500 if label else 1500) * time)
        clips.append(np.rint(32767 * (tone + 0.01 * generator.standard_normal(4000))).astype(np.int16))
        labels.append(("high", "low")[label])
        speakers.append(f"speaker {speaker}")
    path = tmp_path_factory.mktemp("rows") / "tones.npz"
    np.savez(path, audio=np.stack(clips), sample_rate=8000, label=np.array(labels), speaker=np.array(speakers))
    return path


def test_a_whole_run_by_speaker(rows: Path, tmp_path: Path) -> None:
    model = tiny_audio_model("ast", tmp_path / "ast", layers=2)
    run = fit(
        str(rows),
        model=str(model),
        strategy="full",
        out=tmp_path / "run",
        data={
            "group": "speaker",
            "audio_augmentation": {"time_masks": 1, "frequency_masks": 1, "frequency_width": 6, "noise": 20, "shift": 0.05},
        },
        optimization={"learning_rate": 3e-3, "head_learning_rate": 3e-3},
        training={"epochs": 8, "batch_size": 8},
    )
    scores = {(entry["of"], entry["name"]): entry["value"] for entry in run.all_scores()}
    assert scores["fine-tuned", "accuracy"] == 1.0
    assert run.manifest["certified"]["with"] == ["tunewright", "transformers AutoModelForAudioClassification"]
    assert [answer["predicted"] for answer in run.predict(str(rows))[:4]] == ["high", "low"] * 2
    prepared = prepare_rows(run.recipe, InMemoryData())
    heard = {
        part: {int(number - 1) // 2 % 6 for number in getattr(prepared, part).numbers} for part in ("train", "validation", "test")
    }
    assert not heard["train"] & heard["test"]
    assert not heard["train"] & heard["validation"]
    assert set.union(*heard.values()) == set(range(6))


def test_seconds_are_cut_said_and_saved(rows: Path, tmp_path: Path) -> None:
    model = tiny_audio_model("wav2vec2", tmp_path / "wav2vec2", layers=1)
    said: list[str] = []

    def listen(event: dict[str, Any]) -> None:
        said.extend(event.get("messages", ()))

    fit(
        str(rows),
        model=str(model),
        strategy="feature-extraction",
        out=tmp_path / "run",
        data={"max_seconds": 0.25},
        training={"max_steps": 2},
        evaluation={"baselines": (), "certify": False},
        callbacks=(Listener(listen),),
    )
    assert any(line.endswith("train rows are cut at 0.25 seconds") for line in said)
    assert read_json(tmp_path / "run" / "model" / "preprocessor_config.json")["max_seconds"] == 0.25


def test_the_seconds_that_a_model_always_reads_may_be_named(tmp_path: Path) -> None:
    folder = tiny_audio_model("ast", tmp_path / "ast", layers=1)
    form = Form("audio", "AutoModelForAudioClassification", "logits")
    network = load_network(str(folder), Labels("classification", ("a", "b")), form=form)
    before = network.processor
    fit_seconds(network, 0.655)  # as it is shown where another is refused
    assert network.processor == before


@pytest.mark.parametrize(
    ("family", "data", "message"),
    [
        ("wav2vec2", {"audio_augmentation": {"time_masks": 1}}, "for spectrograms, but this model reads samples"),
        ("ast", {"max_seconds": 2.0}, "always reads 0.655 seconds"),
        ("ast", {"image_size": 32}, "data.image_size is for images"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(
    family: str, data: dict[str, Any], message: str, rows: Path, tmp_path: Path
) -> None:
    model = tiny_audio_model(family, tmp_path / family, layers=1)
    with pytest.raises(UserError, match=message):
        fit(str(rows), model=str(model), data=data)


def test_settings_for_sounds_are_refused_for_texts(tiny_bert: Path) -> None:
    texts = [{"text": f"a film {number}", "label": "ab"[number % 2]} for number in range(20)]
    for data in ({"max_seconds": 1.0}, {"audio_augmentation": {"noise": 10}}):
        with pytest.raises(UserError, match="sounds, and these rows are"):
            fit(texts, model=str(tiny_bert), data=data)


def test_masks_are_off_unless_named() -> None:
    recipe: Recipe = make_recipe("rows.npz")
    assert not recipe.data.audio_augmentation.active
