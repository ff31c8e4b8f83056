"""Where a folder says how its inputs are prepared: transformers' older file, or its newer one with each kind nested in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.models.conftest import LABELS
from tunewright.core.errors import UserError
from tunewright.core.files import read_json, write_json
from tunewright.core.types import Labels
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.processors import load_processor
from tunewright.models.tiny_audio import tiny_audio_model
from tunewright.models.tiny_images import tiny_image_model

OLDER, NEWER = "preprocessor_config.json", "processor_config.json"
AUDIO = Form("audio", "AutoModelForAudioClassification")
IMAGE = Form("image", "AutoModelForImageClassification")
SPOKEN = Form("audio", "AutoModelForSpeechSeq2Seq", "vocabulary")


def nested(folder: Path, key: str, **changes: Any) -> None:
    """Write the preparation as transformers 5 does."""
    settings = read_json(folder / OLDER)
    (folder / OLDER).unlink()
    write_json(folder / NEWER, {key: {**settings, **changes}, "processor_class": "Processor"})


@pytest.mark.parametrize("family", ["ast", "hubert", "whisper"])
def test_sounds_are_prepared_alike_from_either_file(family: str, tmp_path: Path) -> None:
    folder = tiny_audio_model(family, tmp_path, layers=1)
    before = load_network(str(folder), LABELS, form=AUDIO).processor
    nested(folder, "feature_extractor")
    assert load_network(str(folder), LABELS, form=AUDIO).processor == before


def test_a_speech_recognizer_saved_by_transformers_opens(tmp_path: Path) -> None:
    import transformers

    folder = tiny_audio_model("whisper", tmp_path, layers=1)
    before = load_network(str(folder), Labels("speech_recognition"), form=SPOKEN).processor.sounds
    sounds = transformers.AutoFeatureExtractor.from_pretrained(str(folder))
    words = transformers.AutoTokenizer.from_pretrained(str(folder))
    (folder / OLDER).unlink()
    transformers.WhisperProcessor(sounds, words).save_pretrained(str(folder))
    assert (folder / NEWER).is_file() and not (folder / OLDER).exists()
    assert load_network(str(folder), Labels("speech_recognition"), form=SPOKEN).processor.sounds == before


@pytest.mark.parametrize(
    ("kind", "key"), [("image", "image_processor"), ("video", "video_processor"), ("video", "image_processor")]
)
def test_pictures_are_prepared_alike_from_either_file(kind: Any, key: str, tmp_path: Path) -> None:
    folder = tiny_image_model("vit", tmp_path)
    before = load_processor(folder, kind, None)
    nested(folder, key)
    assert load_processor(folder, kind, None) == before


def test_the_newer_file_comes_first_as_in_transformers(tmp_path: Path) -> None:
    from transformers import AutoFeatureExtractor

    folder = tiny_audio_model("whisper", tmp_path, layers=1)
    older = (folder / OLDER).read_bytes()
    nested(folder, "feature_extractor", chunk_length=7)
    (folder / OLDER).write_bytes(older)
    found = load_processor(folder, "audio", None)
    assert found.max_seconds == AutoFeatureExtractor.from_pretrained(str(folder)).chunk_length == 7


def test_a_newer_file_without_the_kind_leaves_the_older_one(tmp_path: Path) -> None:
    folder = tiny_audio_model("whisper", tmp_path, layers=1)
    before = load_processor(folder, "audio", None)
    write_json(folder / NEWER, {"processor_class": "WhisperProcessor"})
    assert load_processor(folder, "audio", None) == before


def test_a_folder_that_says_it_for_another_kind_is_refused(tmp_path: Path) -> None:
    folder = tiny_audio_model("whisper", tmp_path, layers=1)
    nested(folder, "image_processor")
    with pytest.raises(UserError, match="does not say how audio rows are prepared"):
        load_processor(folder, "audio", None)


def test_a_fault_names_the_file_it_stands_in(tmp_path: Path) -> None:
    folder = tiny_audio_model("whisper", tmp_path, layers=1)
    nested(folder, "feature_extractor", feature_extractor_type="ASTFeatureExtractor", mean="one")
    with pytest.raises(UserError, match=f"{NEWER} cannot be used"):
        load_processor(folder, "audio", None)
