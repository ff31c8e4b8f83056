"""Transcription: alphabets as transformers has them, the loss against all paths, heads kept or begun, and a whole run."""

from __future__ import annotations

from itertools import groupby, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.pictures import wav
from tunewright.core.arrays import object_array
from tunewright.core.errors import UserError
from tunewright.core.files import read_json, read_tensors, write_tensors
from tunewright.core.types import Labels
from tunewright.datasets.formats.audio_files import Sound
from tunewright.datasets.transcripts import Characters, from_folder, made_of
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.models.tiny_audio import tiny_audio_model
from tunewright.pipeline.workflow import fit
from tunewright.tasks.speech_recognition import task as transcription

pytest.importorskip("soundfile")

LABELS = Labels("speech_recognition", tuple(" abcd"))
FORM = Form("audio", "AutoModelForCTC", "frames")
CAPITALS = Characters(("<pad>", "<s>", "</s>", "<unk>", "|", *"EABCD'"), 0, folded=True, plain=True)


@pytest.fixture(scope="module")
def hubert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    still = dict.fromkeys(
        ("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout", "final_dropout"), 0.0
    )
    folder = tmp_path_factory.mktemp("tiny") / "hubert"
    tiny_audio_model("hubert", folder, layers=1, mask_time_prob=0.0, layerdrop=0.0, **still)
    weights = folder / "model.safetensors"  # larger ones hear tones apart from the start
    write_tensors(weights, {name: value * 3 if value.ndim > 1 else value for name, value in read_tensors(weights).items()})
    return folder


def network_of(folder: Path, labels: Labels = LABELS) -> Network:
    return load_network(str(folder), labels, form=FORM)


def sounds(*samples: int) -> list[tuple[Any, ...]]:
    generator = np.random.default_rng(0)
    return [(Sound((0.1 * generator.standard_normal(count)).astype(np.float32), 16_000),) for count in samples]


def texts(*values: str) -> np.ndarray:
    return object_array((value,) for value in values)


@pytest.mark.parametrize("characters", [made_of(" abcdé|"), CAPITALS])
def test_transformers_opens_the_alphabet_and_spells_alike(characters: Characters, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    characters.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(str(tmp_path))
    for text in ("a bad cab", "abba", "d"):
        assert theirs(text)["input_ids"] == characters.ids(text)
        path = [number for one in characters.ids(text) for number in (one, one, characters.blank)]
        collapsed = [number for number, _ in groupby(path) if number != characters.blank]
        assert characters.text(collapsed) == text
        assert theirs.decode(path).lower() == text
    assert theirs.pad_token_id == characters.blank
    again = from_folder(tmp_path, " abcd")
    assert again == characters
    assert again is not None
    assert again.ids("a\n  ñ | b") == characters.ids("a b")


def test_capitals_stay_where_the_texts_have_them() -> None:
    assert CAPITALS.text(CAPITALS.ids("Abba")) == "abba"
    mixed = Characters(CAPITALS.tokens, 0, folded=True, plain=False)
    assert mixed.text(mixed.ids("Abba")) == "ABBA"


@pytest.mark.parametrize(
    ("vocabulary", "message"),
    [
        ({"eng": {"a": 0}, "deu": {"a": 0}}, "alphabets of several languages"),
        ({"<pad>": 0, "a": 2}, "without gaps"),
        ({"a": 0, "b": 1}, "no '<pad>'"),
    ],
)
def test_alphabets_that_mean_nothing_are_refused(vocabulary: dict[str, Any], message: str, tmp_path: Path) -> None:
    from tunewright.core.files import write_json

    write_json(tmp_path / "vocab.json", vocabulary)
    with pytest.raises(UserError, match=message):
        from_folder(tmp_path)


def test_the_loss_is_that_of_all_paths() -> None:
    """Graves et al. 2006, equation 3, by counting every path of four frames over three tokens."""
    logits = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[4, 0, 1, 2], [5, 0, 2, -100]])
    found = transcription.losses(logits, targets, LABELS, transcription.Settings(), None)
    for row, (frames, text) in enumerate(((4, [1, 2]), (5, [2]))):
        shares = logits[row].softmax(-1)
        total = 0.0
        for path in product(range(3), repeat=frames):
            if [token for token, _ in groupby(path) if token != 0] == text:
                total += float(torch.stack([shares[frame, token] for frame, token in enumerate(path)]).prod())
        assert float(found[row]) == pytest.approx(-np.log(total), rel=1e-5)
    assert transcription.counts(targets, None).tolist() == [2, 1]


def test_the_loss_is_transformers_own(hubert: Path) -> None:
    network = network_of(hubert)
    examples = transcription.encode(network, sounds(6000, 9000), texts("abba", "c d"), transcription.Settings(), 0)
    from tunewright.datasets.encoded import targets_of

    batch = examples.encoded.collate(np.arange(2))
    targets = targets_of(examples, np.arange(2), torch.device("cpu"))
    with torch.no_grad():
        ours = transcription.losses(network(batch), targets, LABELS, transcription.Settings(), None).sum()
        theirs = network.inner(**batch, labels=targets[:, 2:]).loss
    assert network.inner.config.ctc_loss_reduction == "sum"
    torch.testing.assert_close(ours, theirs)


def test_paths_are_spelt_without_padding_and_blanks(hubert: Path) -> None:
    network = network_of(hubert)
    encoded: Any = transcription.encode(network, sounds(4000, 6000), None, transcription.Settings(), 0).encoded
    assert encoded.frames.tolist() == encoded.lengths.tolist() == [12, 18]
    a, b = network.processor.characters.ids("ab")
    path = torch.tensor([[a, a, 0, a, b, b, 0, 0, 0, 0, 0, 0, *[b] * 6], [b] * 18])
    kept = transcription.keep(torch.nn.functional.one_hot(path, 7).float(), encoded, np.arange(2))
    found = transcription.decode(kept, LABELS, encoded)
    assert found.values.tolist() == ["aab", "b"]
    assert transcription.answer(found, 0, LABELS) == {"predicted": "aab", "probability": None}
    assert transcription.majority(texts("x", "y", "y"), np.arange(2), LABELS).values.tolist() == ["y", "y"]
    half = encoded.subset(np.array([1]))
    kept = transcription.keep(torch.nn.functional.one_hot(path[1:], 7).float(), half, np.array([0]))
    assert transcription.decode(kept, LABELS, half).values.tolist() == ["b"]


def test_texts_that_cannot_be_spelt_are_refused_with_their_rows(hubert: Path) -> None:
    network = network_of(hubert)
    with pytest.raises(UserError, match=r"row 2: a text needs 13 frames and its clip has 12"):
        transcription.encode(network, sounds(4000, 4000), texts("ab", "abcdaabbcd" + "a"), transcription.Settings(), 0)
    transcription.encode(network, sounds(4000), texts("abcdabcdabcd"), transcription.Settings(), 0)
    with pytest.raises(UserError, match="row 1: the text has no character"):
        transcription.encode(network, sounds(4000), texts("?!"), transcription.Settings(), 0)
    with pytest.raises(UserError, match="no character to spell"):
        network_of(hubert, Labels("speech_recognition", (" ",)))


def test_a_trained_head_and_its_alphabet_are_kept(hubert: Path, tmp_path: Path) -> None:
    network = network_of(hubert)
    assert network.head_names == ("inner.lm_head.weight", "inner.lm_head.bias")
    assert "in a new alphabet of 7 tokens, because the model has none" in network.processor.said[0]
    network.inner.save_pretrained(str(tmp_path))
    network.processor.save_pretrained(str(tmp_path))
    weight = read_tensors(tmp_path / "model.safetensors")["lm_head.weight"]
    same = network_of(tmp_path, Labels("speech_recognition", tuple("abd")))
    assert torch.equal(same.inner.lm_head.weight, weight)
    assert same.head_names == network.head_names
    assert "the model's own alphabet of 7 tokens" in same.processor.said[0]
    other = network_of(tmp_path, Labels("speech_recognition", tuple("uvwxyz")))
    assert other.inner.lm_head.weight.shape == (9, 32)
    assert "lacks 6 of 6 characters" in other.processor.said[0]


def toy(folder: Path, count: int, longest: int = 4) -> Path:
    """Texts of up to ``longest`` letters, each a tone and a silence."""
    generator, time = np.random.default_rng(0), np.arange(1920) / 16_000
    lines = ["path,sentence"]
    for number in range(count):
        text = "".join(generator.choice(list("abcd"), generator.integers(1, longest + 1)))
        parts = [np.zeros(generator.integers(200, 800))]
        for letter in text:
            parts += [0.4 * np.sin(2 * np.pi * 300 * 2 ** "abcd".index(letter) * time), np.zeros(640)]
        (folder / f"{number}.wav").write_bytes(wav(np.concatenate(parts)))
        lines.append(f"{number}.wav,{text}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    return folder / "rows.csv"


def test_tones_are_learnt_as_letters(hubert: Path, tmp_path: Path) -> None:
    rows = toy(tmp_path, 160, longest=2)
    run = fit(
        str(rows),
        model=str(hubert),
        strategy="full",
        out=tmp_path / "run",
        optimization={"learning_rate": 6e-3, "head_learning_rate": 6e-3, "schedule": "constant"},
        training={"epochs": 16, "batch_size": 16},
    )
    scores = {(entry["of"], entry["name"]): entry["value"] for entry in run.all_scores()}
    assert scores["fine-tuned", "character_error_rate"] < 0.1
    assert scores["majority", "character_error_rate"] > 0.5
    assert run.manifest["certified"]["with"] == ["tunewright", "transformers AutoModelForCTC"]
    wanted = [line.split(",")[1] for line in rows.read_text().splitlines()[1:]]
    right = sum(answer["predicted"] == text for answer, text in zip(run.predict(str(rows)), wanted, strict=True))
    assert right > 0.7 * len(wanted)
    assert {score.name for score in run.evaluate(str(rows))} == set(transcription.METRICS)
    assert read_json(tmp_path / "run" / "model" / "vocab.json")["<pad>"] == 0


def test_an_adapter_with_a_new_alphabet_is_certified(hubert: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    run = fit(
        str(toy(tmp_path, 40)),
        model=str(hubert),
        strategy="lora",
        out=tmp_path / "run",
        training={"max_steps": 2, "batch_size": 8},
        evaluation={"baselines": ()},
    )
    assert run.manifest["certified"]["with"] == ["tunewright", "peft PeftModel"]
    assert len(run.predict(str(tmp_path / "rows.csv"))) == 40
