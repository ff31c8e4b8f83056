"""The models that come with the project: small, whole, described, and better than chance at what they were trained for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tunewright.core.files import read_tensors
from tunewright.core.types import Labels
from tunewright.models.form import Form
from tunewright.models.loading import load_network

ZOO = Path(__file__).resolve().parents[2] / "zoo"
MODELS = sorted(path.parent for path in ZOO.glob("*/config.json"))
LARGEST = 8 * 2**20


def test_the_zoo_is_not_empty() -> None:
    assert {"tiny-audio", "tiny-lm", "tiny-table", "tiny-vision"} <= {folder.name for folder in MODELS}


@pytest.mark.parametrize("folder", MODELS, ids=lambda folder: folder.name)
def test_each_is_small_described_and_buildable(folder: Path) -> None:
    assert sum(file.stat().st_size for file in folder.iterdir()) < LARGEST
    card = (folder / "README.md").read_text()
    for said in ("Licence of the data:", "metric on held-out rows", "epochs:", "seed:"):
        assert said in card
    assert (ZOO / f"{folder.name.replace('-', '_')}.py").is_file()
    assert all(np.isfinite(value.float().numpy()).all() for value in read_tensors(folder / "model.safetensors").values())


def test_the_language_model_expects_a_story_to_go_on_in_words() -> None:
    import torch

    network = load_network(str(ZOO / "tiny-lm"), Labels("causal_lm"), form=Form("text", "AutoModelForCausalLM", "vocabulary"))
    tokenizer = network.tokenizer

    def nats(text: str) -> float:
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.no_grad():
            return float(network({"input_ids": ids, "attention_mask": torch.ones_like(ids)}).losses(ids).sum())

    story = "Once upon a time, there was a little girl who loved to play in the park with her mom."
    words = story.split()
    assert nats(story) < 0.6 * nats(" ".join(reversed(words)))  # the same words in another order are no story
    assert tokenizer.decode(tokenizer("Ünï – 你好")["input_ids"]) == "Ünï – 你好"  # every byte has a token


def test_the_vision_model_has_its_preparation() -> None:
    network = load_network(
        str(ZOO / "tiny-vision"), Labels("classification", ("a", "b")), form=Form("image", "AutoModelForImageClassification")
    )
    assert (network.processor.height, network.processor.width, network.processor.channels) == (32, 32, 3)
    assert len(network.stack.blocks) == 4


def test_the_audio_model_has_its_preparation() -> None:
    network = load_network(
        str(ZOO / "tiny-audio"), Labels("classification", ("a", "b")), form=Form("audio", "AutoModelForAudioClassification")
    )
    assert network.processor.rate == 16_000
    assert len(network.stack.blocks) == 4


def test_the_table_model_reads_other_columns(tmp_path: Path) -> None:
    from tunewright.pipeline.workflow import fit

    rows = [{"size": number, "colour": "ab"[number % 2], "label": number > 20} for number in range(40)]
    training = {"max_steps": 2, "checkpoints": False, "threads": 1}
    data = {"near_duplicates": "ignore", "kind": "table"}
    run = fit(
        rows, method="full", model=str(ZOO / "tiny-table"), target="label", out=tmp_path / "run", training=training, data=data
    )
    assert run.manifest["certified"]["equal"]
