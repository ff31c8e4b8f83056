"""A plain torch module that reads sounds: samples, log-mel or cepstra, whole runs, and public keyword weights."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tunewright
from tests.test_image_runs import QUICK, accuracy, pictures
from tunewright.core.errors import UserError
from tunewright.core.files import read_json
from tunewright.core.types import Labels
from tunewright.modalities.audio.modality import AudioPreprocessing
from tunewright.models.torch_module import Backbone, plain_network

pytest.importorskip("soundfile")

LABELS = Labels("classification", ("high", "low"))
CEPSTRA = AudioPreprocessing("log_mel", max_seconds=0.25, mels=20, points=480, cepstra=12)
SAMPLES = AudioPreprocessing("raw", max_seconds=0.25, mask=False)


class Listener(nn.Module):
    """Two convolutions over time with batch norms, and a classifier of five classes; samples are cut into frames first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            self.width = width
            self.stem = nn.Conv1d(width, 16, 1)
            self.parts = nn.ModuleList(Part(16) for _ in range(2))
            self.answer = nn.Linear(16, 5)

    def forward(self, sounds: Tensor) -> Tensor:
        if sounds.ndim == 2:
            sounds = sounds.unfold(1, self.width, self.width)
        x = self.stem(sounds.transpose(1, 2))
        for part in self.parts:
            x = part(x)
        answer: Tensor = self.answer(x.mean(2))
        return answer


class Part(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(width, width, 3, padding=1, bias=False), nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = torch.relu(self.norm(self.conv(x)))
        return x + added


def tones(count: int) -> list[dict[str, Any]]:
    """A high or a low tone with some noise, 0.25 s."""
    generator, time = np.random.default_rng(0), np.arange(4000) / 16_000
    rows = []
    for number in range(count):
        tone = 0.3 * np.sin(2 * np.pi * (400 if number % 2 else 1600) * time) + 0.01 * generator.standard_normal(4000)
        rows.append({"audio": {"array": tone.astype(np.float32), "sampling_rate": 16_000}, "label": ("high", "low")[number % 2]})
    return rows


@pytest.mark.parametrize(("how", "shape"), [(CEPSTRA, (26, 12)), (SAMPLES, (4000,))], ids=["cepstra", "samples"])
def test_the_last_linear_layer_gives_way_to_a_new_one(how: AudioPreprocessing, shape: tuple[int, ...]) -> None:
    network = plain_network(Backbone(Listener(12 if how is CEPSTRA else 40), how), LABELS, seed=1)
    assert [group.name for group in network.stack.groups] == ["embeddings", "block 0", "block 1", "head"]
    assert network.reads == ("input_values",)
    assert network({"input_values": torch.zeros(3, *shape)}).shape == (3, 2)
    assert network.form.kind == "audio"


@pytest.mark.parametrize("strategy", ["full", "gradual-unfreezing"])
def test_a_run_is_saved_opened_with_the_module_and_predicts_the_same(strategy: str, tmp_path: Path) -> None:
    rows = tones(48)
    settings = QUICK | {"training": {"epochs": 4, "batch_size": 8}}
    model: dict[str, Any] = {"source": Listener(12), "freeze_batch_norm": True}
    run = tunewright.fit(rows, model=model, preprocessing=CEPSTRA, strategy=strategy, out=tmp_path / "run", **settings)
    assert accuracy(run) > accuracy(run, "majority")
    assert run.manifest["certified"]["equal"]
    assert read_json(run.folder / "model" / "preprocessor_config.json")["cepstra"] == 12
    heard = [{"audio": row["audio"]} for row in rows[:6]]
    said = [row["predicted"] for row in run.predict(heard)]
    opened = tunewright.load(run.folder, backbone=(Listener(12), CEPSTRA))
    assert [row["predicted"] for row in opened.predict(heard)] == said
    with pytest.raises(UserError, match="the same module"):
        tunewright.load(run.folder).predict(heard)


def test_samples_are_read_as_they_are(tmp_path: Path) -> None:
    run = tunewright.fit(tones(40), model=Listener(40), preprocessing=SAMPLES, strategy="full", out=tmp_path / "run", **QUICK)
    assert run.manifest["certified"]["equal"]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a picture or a sound"):
        tunewright.fit(tones(20), model=Listener(12), out=tmp_path / "run")
    with pytest.raises(UserError, match=r"reads audio.*one answer for each sound"):
        tunewright.fit(pictures(20), model=Listener(12), preprocessing=CEPSTRA, out=tmp_path / "run", **QUICK)
    with pytest.raises(UserError, match=r"\(1, 26, 12\)"):
        plain_network(Backbone(Listener(9), CEPSTRA), LABELS)
    for how in (AudioPreprocessing("raw"), AudioPreprocessing("whisper", mels=20, frames=100)):
        with pytest.raises(UserError, match="one tensor for a batch"):
            tunewright.fit(tones(20), model=Listener(12), preprocessing=how, out=tmp_path / "run")
    for wrong in ({"mels": 0}, {"mels": 10, "cepstra": 11}, {"mels": 10, "high": 9000.0}, {"mels": 10, "hop": 500}):
        with pytest.raises(UserError, match="a spectrogram of"):
            AudioPreprocessing("log_mel", **wrong)


def test_public_keyword_weights_hear_their_words(shared_data: Path) -> None:
    """res8-narrow by other people in a class of the benchmarks, on the cepstra that this preparation makes."""
    weights, clips = (
        shared_data / part
        for part in ("weights/honk_kws/res8_narrow.safetensors", "speech_commands_mini/speech_commands_mini.npz")
    )
    if not weights.is_file() or not clips.is_file():
        pytest.skip("the public weights or clips are not there")
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "res8.py"
    spec = importlib.util.spec_from_file_location("res8", path)
    assert spec is not None and spec.loader is not None
    res8 = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(res8)
    right, total = res8.heard(res8.pretrained(weights), clips)
    assert total == 100
    assert right >= 95  # 97 where it was measured
