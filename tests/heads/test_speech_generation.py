"""Speech written by a decoder: its inputs by the model's rule, the loss as transformers has it, and the search that is judged."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.heads.test_transcription import sounds, texts, toy
from tests.tiny import folders
from tunewright.config.audio_augmentation import AudioAugmentation
from tunewright.core.types import Labels
from tunewright.datasets.encoded import EncodedDataset, targets_of
from tunewright.modalities.text import sequences
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.models.tiny_audio import SEQUENCE, tiny_audio_model
from tunewright.pipeline.workflow import fit
from tunewright.tasks.speech_seq2seq import task as speech_generation

pytest.importorskip("soundfile")

LABELS = Labels("speech_recognition", tuple("abcd"))
FORM = Form("audio", "AutoModelForSpeechSeq2Seq", "vocabulary")
SETTINGS = speech_generation.Settings(longest=10)


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Network]:
    folder_of = folders(tmp_path_factory, partial(tiny_audio_model, layers=2))

    def build(family: str) -> Network:
        return load_network(str(folder_of(family)), LABELS, form=FORM)

    return build


def encoded(network: Network) -> EncodedDataset:
    return speech_generation.encode(network, sounds(6000, 9000), texts("abba", "cd"), SETTINGS, 0)


@pytest.mark.parametrize("family", SEQUENCE)
def test_the_loss_is_transformers_own(make: Callable[[str], Network], family: str) -> None:
    network = make(family)
    examples = encoded(network)
    assert isinstance(examples.encoded, sequences.Encoded)
    batch = {name: value for name, value in examples.encoded.collate(np.arange(2)).items() if name in network.reads}
    ids = {row: network.processor.tokenizer(text)["input_ids"] for row, text in enumerate(("abba", "cd"))}
    assert batch["decoder_input_ids"].tolist() == [[2, *ids[0]], [2, *ids[1], 0, 0]]
    targets = targets_of(examples, np.arange(2), torch.device("cpu"))
    labels = torch.tensor([ids[0], [*ids[1], -100, -100]])
    heard = {name: value for name, value in batch.items() if name != "decoder_input_ids"}
    with torch.no_grad():
        ours = speech_generation.losses(network(batch), targets, LABELS, SETTINGS, None).sum()
        theirs = network.inner(**heard, labels=labels).loss
    count = speech_generation.counts(targets, None)
    assert count.tolist() == [5, 3]
    torch.testing.assert_close(ours / count.sum(), theirs)


@pytest.mark.parametrize("family", SEQUENCE)
def test_what_is_written_is_the_likeliest_token_each_time(make: Callable[[str], Network], family: str) -> None:
    network = make(family)
    with torch.no_grad():  # a random decoder writes its last token again: turned round, it writes the one least like it
        network.inner.model.decoder.layer_norm.weight.neg_()
        words = network.inner.get_input_embeddings().weight
        words.copy_(torch.randn(words.shape, generator=torch.Generator().manual_seed(4)))
        words[:4] = 0  # letters are likelier than signs
    examples = speech_generation.encode(network, sounds(6000, 9000), None, SETTINGS, 0)
    written = speech_generation.generate(network, examples, SETTINGS).values
    batch: dict[str, Any] = {k: v for k, v in examples.encoded.collate(np.arange(2)).items() if k in network.reads}
    assert batch["decoder_input_ids"].tolist() == [[2], [2]]
    for _ in range(SETTINGS.longest):
        with torch.no_grad():
            best = network(batch).logits()[:, -1].argmax(-1, keepdim=True)
        batch["decoder_input_ids"] = torch.cat([batch["decoder_input_ids"], best], 1)
    expected = []
    for row in batch["decoder_input_ids"][:, 1:].tolist():
        ended = row[: row.index(2)] if 2 in row else row
        expected.append(network.processor.tokenizer.decode(ended, skip_special_tokens=True).strip())
    assert written.tolist() == expected
    assert any(len(text) > 1 for text in expected)


@pytest.mark.parametrize("family", SEQUENCE)
def test_sounds_change_in_training_only(make: Callable[[str], Network], family: str) -> None:
    found: Any = encoded(make(family)).encoded
    noisy = found.disturbed(AudioAugmentation(noise=0, time_masks=1, time_share=1))
    name = "input_features"
    rows = np.arange(2)
    plain = found.collate(rows, training=True)[name]
    same, other = (noisy.collate(rows, training=training)[name] for training in (False, True))
    assert torch.equal(plain, same)
    assert not torch.equal(plain, other)


def test_long_texts_are_cut_and_counted(make: Callable[[str], Network]) -> None:
    network = make("whisper")
    examples = speech_generation.encode(network, sounds(4000), texts("abcdabcdabcdabcd"), SETTINGS, 0)
    assert examples.encoded.truncated == 1
    assert examples.encoded.subset(np.array([0])).truncated == 0
    assert targets_of(examples, np.array([0]), torch.device("cpu")).shape == (1, 11)


def test_a_transcription_takes_the_decoder_where_there_is_one(tmp_path: Path) -> None:
    model = tiny_audio_model("whisper", tmp_path / "whisper", layers=1)
    run = fit(
        str(toy(tmp_path, 40)),
        model=str(model),
        strategy="full",
        out=tmp_path / "run",
        data={"audio_augmentation": {"noise": 20}},
        training={"max_steps": 3, "batch_size": 8},
    )
    assert run.manifest["certified"]["with"] == ["tunewright", "transformers AutoModelForSpeechSeq2Seq"]
    assert {entry["of"] for entry in run.all_scores()} == {"fine-tuned", "majority", "before"}
    assert run.model.head == "speech_seq2seq"
    assert len(run.predict(str(tmp_path / "rows.csv"))) == 40
    assert {score.name for score in run.evaluate(str(tmp_path / "rows.csv"))} == set(speech_generation.METRICS)
