"""Sounds: features as transformers' own extractors make them, masks, cutting, resampling, shared subsets, SpecAugment."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.pictures import table, tone, wav
from tunewright.config.audio_augmentation import AudioAugmentation
from tunewright.core.errors import UserError
from tunewright.datasets.formats.audio_files import Sound
from tunewright.datasets.table import Table
from tunewright.modalities.audio import modality as audio
from tunewright.modalities.audio.log_mel import frame_count, kaldi_fbank, mel_filters
from tunewright.modalities.audio.modality import AudioPreprocessing
from tunewright.modalities.audio.noise import disturbed
from tunewright.modalities.audio.spec_augment import spec_augment

pytest.importorskip("soundfile")


def speech(seconds: float, seed: int = 0, rate: int = 16_000) -> np.ndarray:
    """Tones that swell and noise, as 16-bit values."""
    generator = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    sound = sum(
        np.sin(2 * np.pi * frequency * time) * np.sin(3 * time + frequency) for frequency in generator.uniform(80, 4000, 5)
    )
    return np.rint((0.1 * sound + 0.02 * generator.standard_normal(len(time))).clip(-1, 1) * 32767).astype(np.int16)


CLIPS = [speech(seconds, number) for number, seconds in enumerate((0.4, 1.1, 0.73))]


def encoded(how: AudioPreprocessing, clips: list[np.ndarray] = CLIPS, rate: int = 16_000, **more: Any) -> audio.Encoded:
    made = Table({"audio": [{"array": clip, "sampling_rate": rate} for clip in clips]}, tuple(range(1, len(clips) + 1)), "made")
    return audio.encode(audio.read(made, ("audio",)), how, **more)


def floats(clips: list[np.ndarray] = CLIPS) -> list[np.ndarray]:
    return [clip.astype(np.float32) / 32768 for clip in clips]


def extractor(name: str, **settings: Any) -> tuple[Any, AudioPreprocessing]:
    transformers = pytest.importorskip("transformers")
    theirs = getattr(transformers, name)(**settings)
    return theirs, AudioPreprocessing.from_processor_config(json.loads(theirs.to_json_string()))


@pytest.mark.parametrize("normalize", [True, False])
def test_raw_samples_are_those_of_wav2vec(normalize: bool) -> None:
    theirs, ours = extractor("Wav2Vec2FeatureExtractor", return_attention_mask=True, do_normalize=normalize)
    batch = encoded(ours).collate(np.arange(3))
    expected = theirs(floats(), sampling_rate=16_000, padding=True, return_tensors="pt")
    assert set(batch) == set(expected) == {"input_values", "attention_mask"}
    assert torch.allclose(batch["input_values"], expected["input_values"], atol=1e-4)
    assert torch.equal(batch["attention_mask"], expected["attention_mask"].long())


def test_without_a_mask_a_clip_does_not_depend_on_its_neighbors() -> None:
    theirs, ours = extractor("Wav2Vec2FeatureExtractor", return_attention_mask=False)
    found = encoded(ours)
    together, alone = found.collate(np.arange(3)), found.collate(np.array([2]))
    assert set(together) == {"input_values"}
    assert together["input_values"].shape == (3, 160_000)
    assert torch.equal(together["input_values"][2:], alone["input_values"])
    expected = theirs(floats()[2], sampling_rate=16_000, return_tensors="pt")["input_values"]
    assert torch.allclose(alone["input_values"][:, : expected.shape[1]], expected, atol=1e-4)
    assert (alone["input_values"][:, expected.shape[1] :] == 0).all()
    assert found.lengths.tolist() == [499] * 3


@pytest.mark.filterwarnings("ignore:At least one mel filter")  # AST's 128 filters are finer than its transform
@pytest.mark.parametrize("settings", [{}, {"num_mel_bins": 64, "max_length": 96}, {"do_normalize": False}])
def test_features_are_those_of_ast(settings: dict[str, Any]) -> None:
    theirs, ours = extractor("ASTFeatureExtractor", **settings)
    batch = encoded(ours).collate(np.arange(3))
    expected = theirs(floats(), sampling_rate=16_000, return_tensors="pt")["input_values"]
    assert batch["input_values"].shape == expected.shape == (3, ours.frames, ours.mels)
    assert torch.allclose(batch["input_values"], expected, atol=1e-4)


@pytest.mark.parametrize("settings", [{}, {"num_mel_bins": 40}, {"normalize_vars": False}, {"do_ceptral_normalize": False}])
def test_features_are_those_of_speech_to_text(settings: dict[str, Any]) -> None:
    theirs, ours = extractor("Speech2TextFeatureExtractor", **settings)
    batch = encoded(ours).collate(np.arange(3))
    expected = theirs(floats(), sampling_rate=16_000, padding=True, return_tensors="pt")
    assert torch.equal(batch["attention_mask"], expected["attention_mask"].long())
    real = batch["attention_mask"].bool()
    assert torch.allclose(batch["input_features"][real], expected["input_features"].float()[real], atol=1e-4)
    assert (batch["input_features"][~real] == 0).all()


@pytest.mark.parametrize(
    "settings", [{}, {"feature_size": 128, "chunk_length": 4}, {"n_fft": 512, "hop_length": 128, "chunk_length": 2}]
)
def test_features_are_those_of_whisper(settings: dict[str, Any]) -> None:
    theirs, ours = extractor("WhisperFeatureExtractor", **settings)
    batch = encoded(ours).collate(np.arange(3))
    expected = theirs(floats(), sampling_rate=16_000, return_tensors="pt")["input_features"]
    assert batch["input_features"].shape == expected.shape == (3, ours.mels, ours.frames)
    assert torch.allclose(batch["input_features"], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("Wav2Vec2FeatureExtractor", {"return_attention_mask": True}),
        ("ASTFeatureExtractor", {"mean": -1.5, "std": 2.5, "num_mel_bins": 64}),
        ("Speech2TextFeatureExtractor", {"normalize_vars": False}),
        ("WhisperFeatureExtractor", {"chunk_length": 4, "feature_size": 40}),
    ],
)
def test_what_is_saved_opens_in_transformers_and_means_the_same(tmp_path: Path, name: str, settings: dict[str, Any]) -> None:
    transformers = pytest.importorskip("transformers")
    _, ours = extractor(name, **settings)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(ours.to_dict()))
    again = transformers.AutoFeatureExtractor.from_pretrained(tmp_path)
    assert type(again).__name__ == name
    assert AudioPreprocessing.from_processor_config(json.loads(again.to_json_string())) == ours


@pytest.mark.parametrize(
    ("config", "fragment"),
    [
        ({"feature_extractor_type": "ClapFeatureExtractor"}, "Clap"),
        ({"feature_extractor_type": "WhisperFeatureExtracter"}, "WhisperFeatureExtractor"),
        ({"sampling_rate": 0}, "sampling_rate is 0"),
        ({"sampling_rate": "16000"}, "sampling_rate"),
        ({"padding_side": "left"}, "padding_side"),
        ({"padding_value": 1.0}, "padding_value"),
        ({"dither": 0.1}, "dither"),
        ({"max_seconds": -1}, "max_seconds"),
        ({"feature_extractor_type": "WhisperFeatureExtractor", "chunk_length": 10**9}, "chunk_length"),
    ],
)
def test_what_cannot_be_done_alike_is_refused(config: dict[str, Any], fragment: str) -> None:
    with pytest.raises(UserError, match=fragment):
        AudioPreprocessing.from_processor_config(config)


def test_the_first_wav2vec_files_name_no_type() -> None:
    assert AudioPreprocessing.from_processor_config({"do_normalize": True, "feature_size": 1, "sampling_rate": 8000}).rate == 8000


def test_what_is_cut_is_counted() -> None:
    how = AudioPreprocessing(max_seconds=0.5)
    found = encoded(how, [speech(0.4), speech(0.5), speech(0.6), speech(2)])
    assert found.truncated == 2
    assert found.counts.tolist() == [6400, 8000, 8000, 8000]
    assert found.lengths.tolist() == [19, 24, 24, 24]
    assert found.subset(np.array([3])).truncated == 0


@pytest.mark.parametrize(("rate", "wanted"), [(8000, 16_000), (44_100, 16_000), (22_050, 8000), (11_025, 16_000)])
def test_resampling_keeps_pitch_and_length(rate: int, wanted: int) -> None:
    clip = (tone(0.5, rate) * 32767).astype(np.int16)
    found = encoded(AudioPreprocessing(rate=wanted, normalize=False), [clip], rate)
    assert found.counts.tolist() == [-(-len(clip) * wanted // rate)]
    expected = tone(0.6, wanted)[: found.counts[0]]
    assert np.abs(found.clip(0) - expected)[200:-200].max() < 0.002


def test_sixteen_bits_survive_unchanged() -> None:
    found = encoded(AudioPreprocessing(normalize=False))
    assert (found.samples == np.concatenate(CLIPS)).all()


def test_subsets_share_the_samples_and_the_file_is_nameless(tmp_path: Path) -> None:
    how = AudioPreprocessing()
    plain, kept = encoded(how), encoded(how, memory=100, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
    part = kept.subset(np.array([2, 0]))
    assert part.samples is kept.samples
    assert torch.equal(part.collate(np.array([1, 0]))["input_values"], plain.collate(np.array([0, 2]))["input_values"])

    def content(found: audio.Encoded) -> bytes:
        return b"".join(array.tobytes() for array in found.arrays())

    assert content(plain) == content(kept)
    assert content(plain) != content(plain.subset(np.array([0, 2, 1])))
    assert content(plain) != content(encoded(AudioPreprocessing(normalize=False)))


def test_a_clip_shorter_than_a_window_has_one_frame() -> None:
    assert frame_count(200, 16_000) == len(kaldi_fbank(np.ones(200, np.float32), 16_000, 20, povey=True)) == 1
    for count in (400, 559, 560, 16_000):
        assert frame_count(count, 16_000) == len(kaldi_fbank(np.zeros(count, np.float32), 16_000, 20, povey=True))


def test_silence_gives_numbers() -> None:
    for kind in ("AST", "Speech2Text", "Whisper", "Wav2Vec2"):
        how = AudioPreprocessing.from_processor_config({"feature_extractor_type": f"{kind}FeatureExtractor"})
        for value in encoded(how, [np.zeros(8000, np.int16)]).collate(np.array([0])).values():
            assert torch.isfinite(value).all()


def test_cells_and_faults(tmp_path: Path) -> None:
    made = table(tmp_path, "audio", {"a.wav": wav(tone()), "b.wav": b"words\n", "c.wav": b"<html>", "d.wav": b"RIFFxxxxWAVEfmt "})
    with pytest.raises(UserError) as caught:
        audio.read(made, ("audio",))
    for fragment in ("3 faults", "line 3", "is text", "line 4", "web page", "line 5", "no samples"):
        assert fragment in str(caught.value)
    cases: list[tuple[Any, str]] = [
        (np.zeros(4000), "without its rate"),
        ({"array": np.zeros(4000, np.int64), "sampling_rate": 8000}, "array of int64"),
        ({"array": np.full(4000, 900.0), "sampling_rate": 8000}, "samples up to 900"),
        ({"array": np.zeros(4000), "sampling_rate": 3}, "3 samples per second"),
        ({"array": np.zeros((50, 50, 2)), "sampling_rate": 8000}, "shape"),
    ]
    for cell, fragment in cases:
        with pytest.raises(UserError, match=fragment):
            audio.read(Table({"audio": [cell]}, (1,), "made"), ("audio",))


def test_shown_and_key(tmp_path: Path) -> None:
    made = table(tmp_path, "audio", {"a.wav": wav(tone()), "b.wav": wav(tone()), "c.wav": wav(tone(level=0.2))})
    rows = audio.read(made, ("audio",))
    assert audio.shown(rows[0]).endswith("a.wav")
    assert audio.key(rows[0]) == audio.key(rows[1]) != audio.key(rows[2])
    sound = Sound(CLIPS[0], 16_000)
    assert audio.shown((sound,)) == "array of 0.40 s at 16,000 Hz"
    assert audio.key((sound,)) == audio.key((Sound(CLIPS[0].copy(), 16_000),)) != audio.key((Sound(CLIPS[0], 8000),))


def test_loud_and_integer_samples() -> None:
    said: list[Any] = []
    made = Table({"audio": [{"array": tone(level=1.5), "sampling_rate": 16_000}]}, (1,), "made")
    rows = audio.read(made, ("audio",), said)
    assert [finding.code for finding in said] == ["clipped"]
    assert audio.encode(rows, AudioPreprocessing()).samples.max() == 32767


def spectrum(count: int = 200, frames: int = 100, mels: int = 80) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(count, frames, mels) + 5, torch.full((count,), frames)


def hidden(features: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    return features != found


@pytest.mark.parametrize(
    ("settings", "axis", "most"),
    [
        (AudioAugmentation(time_masks=1, time_width=30, time_share=1), 1, 30),
        (AudioAugmentation(time_masks=1, time_width=50, time_share=0.2), 1, 20),
        (AudioAugmentation(frequency_masks=1, frequency_width=27), 2, 27),
    ],
)
def test_a_mask_is_one_stretch_up_to_its_width(settings: AudioAugmentation, axis: int, most: int) -> None:
    features, lengths = spectrum()
    changed = hidden(features, spec_augment(features, lengths, settings))
    across = changed.any(3 - axis)
    assert (changed == across.unsqueeze(3 - axis)).all()  # a whole stretch, not spots
    widths = across.sum(1)
    assert int(widths.max()) == most
    assert int(widths.min()) == 0
    assert abs(float(widths.float().mean()) - most / 2) < most / 6
    for row in across[widths > 0]:
        places = row.nonzero().flatten()
        assert int(places[-1] - places[0]) + 1 == len(places)


def test_masks_hold_the_mean_and_leave_padding_alone() -> None:
    features, _ = spectrum(50)
    lengths = torch.full((50,), 40)
    features[:, 40:] = 0
    found = spec_augment(features, lengths, AudioAugmentation(time_masks=2, time_share=1, frequency_masks=2))
    assert (found[:, 40:] == 0).all()
    changed = hidden(features, found)
    means = features[:, :40].mean((1, 2)).view(-1, 1, 1).expand_as(features)
    assert torch.allclose(found[changed], means[changed], atol=1e-4)
    assert 0.1 < float(changed[:, :40].float().mean()) < 0.9


def test_masks_are_for_training_only_and_follow_the_seed() -> None:
    off, on = AudioAugmentation(), AudioAugmentation(time_masks=2, frequency_masks=2)
    assert not off.active
    for kind in ("AST", "Speech2Text", "Whisper"):
        how = AudioPreprocessing.from_processor_config({"feature_extractor_type": f"{kind}FeatureExtractor", "chunk_length": 2})
        found = encoded(how).disturbed(on)
        assert found.varies
        assert not encoded(how).disturbed(off).varies
        (name,) = set(found.collate(np.arange(3))) - {"attention_mask"}
        collate: Callable[[bool], torch.Tensor] = lambda training: found.collate(np.arange(3), training=training)[name]  # noqa: B023, E731
        assert torch.equal(collate(False), collate(False))
        torch.manual_seed(5)
        first = collate(True)
        torch.manual_seed(5)
        assert torch.equal(first, collate(True))
        assert not torch.equal(first, collate(True))
        assert not torch.equal(first, collate(False))
    with pytest.raises(UserError, match="for spectrograms"):
        encoded(AudioPreprocessing()).disturbed(on)


def test_noise_and_shifts_are_as_loud_and_far_as_asked() -> None:
    clip = floats()[1]
    torch.manual_seed(0)
    ratios = []
    for _ in range(200):
        noise = disturbed(clip, 16_000, AudioAugmentation(noise=10)) - clip
        ratios.append(10 * np.log10(np.square(clip).mean() / np.square(noise).mean()))
    assert 9.8 < min(ratios) < 11
    assert 38 < max(ratios) < 40.2
    moved = set()
    for _ in range(100):
        found = disturbed(clip, 16_000, AudioAugmentation(shift=0.01))
        places = [
            by
            for by in range(-160, 161)
            if np.array_equal(found[max(0, by) : len(clip) + min(0, by)], clip[max(0, -by) : len(clip) - max(0, by)])
        ]
        assert len(places) == 1
        assert len(found) == len(clip)
        assert (found[: max(0, places[0])] == 0).all()
        moved.add(places[0])
    assert min(moved) < -100
    assert max(moved) > 100
    assert not disturbed(np.zeros(100, np.float32), 16_000, AudioAugmentation(noise=0)).any()


def test_raw_sounds_change_in_training_only() -> None:
    found = encoded(AudioPreprocessing()).disturbed(AudioAugmentation(noise=10))
    assert found.varies
    plain, noisy = (found.collate(np.arange(3), training=training)["input_values"] for training in (False, True))
    assert torch.equal(plain, encoded(AudioPreprocessing()).collate(np.arange(3))["input_values"])
    assert not torch.equal(plain, noisy)


def test_frames_are_those_of_the_convolutions() -> None:
    kernels, strides = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
    assert AudioPreprocessing().under(kernels, strides) == AudioPreprocessing()
    for sizes, steps in ((kernels, strides), ((7, 4), (3, 3)), ((10,), (4,))):
        how = AudioPreprocessing().under(sizes, steps)
        for count in range(how.window, how.window + 3 * how.stride):
            lasting = count
            for kernel, stride in zip(sizes, steps, strict=True):
                lasting = (lasting - kernel) // stride + 1
            assert how.frames_of(np.array([count])).tolist() == [lasting]


BOTH = {"audio": ["a.wav", "b.wav"], "text": ["one", "two"], "label": ["x", "y"]}
ROWS = {"array": np.zeros(1000, np.float32), "sampling_rate": 16_000}


@pytest.mark.parametrize(
    ("columns", "named", "expected"),
    [
        ({"file": ["a.wav", "b.wav"], "label": ["x", "y"]}, {}, (("file",), ("label",), "classification")),
        ({"audio": [ROWS, ROWS], "digit": [1, 2]}, {}, (("audio",), ("digit",), "classification")),
        ({"path": ["a.mp3", "b.mp3"], "sentence": ["hi you", "well"]}, {}, (("path",), ("sentence",), "speech_recognition")),
        ({"clip": [b"RIFFxxxx", b"fLaC"], "score": [0.5, 0.7]}, {}, (("clip",), ("score",), "regression")),
        (BOTH, {"target": ("label",)}, (("audio",), ("label",), "classification")),
        (BOTH, {"task": "speech_recognition"}, (("audio",), ("text",), "speech_recognition")),
        ({"text": ["a film", "a book"], "label": ["x", "y"]}, {}, None),
        ({"audio": ["a.wav", "b.wav"], "label": ["x", "y"]}, {"task": "token_classification"}, None),
        (BOTH, {"text": ("text",)}, None),
    ],
)  # fmt: skip
def test_sounds_are_recognized_by_name_and_content(columns: dict[str, list[Any]], named: dict[str, Any], expected: Any) -> None:
    assert audio.recognize(Table(columns, (1, 2), "made"), named) == expected


def test_words_or_a_label_is_a_question() -> None:
    with pytest.raises(UserError, match="target column could be 'text', 'label'"):
        audio.recognize(Table(BOTH, (1, 2), "made"), {})


def test_cepstra_are_a_cosine_transform_of_log_energies() -> None:
    from scipy.fft import dct

    how = AudioPreprocessing(
        "log_mel", 16_000, 0.1, normalize=False, mask=False, mels=20, points=400, hop=160, high=6000.0, cepstra=13
    )
    clip = np.random.default_rng(0).standard_normal(1200) * 0.1
    clips = [(Sound(clip.astype(np.float32), 16_000),)]
    plain = audio.encode(clips, replace(how, cepstra=0)).collate(np.array([0]))["input_values"][0].double().numpy()
    found = audio.encode(clips, how).collate(np.array([0]))["input_values"][0].numpy()
    assert (plain.shape, found.shape) == ((11, 20), (11, 13))  # a second's tenth, the ends mirrored
    np.testing.assert_allclose(found, dct(plain, norm="ortho", axis=1)[:, :13], atol=1e-4)
    frame = np.rint(clip[600:1000].astype(np.float32) * 32768) / 32768  # centred at 5 x 160, as 16 bits
    power = np.abs(np.fft.rfft(frame * np.hanning(401)[:-1])) ** 2
    np.testing.assert_allclose(plain[5], np.log(power @ mel_filters(201, 20, 20.0, 6000.0, 16_000, "slaney")), atol=1e-3)
    assert (plain[10] == 0).all()  # silence
    assert AudioPreprocessing.from_processor_config(how.to_dict()) == how


def test_a_constant_channel_is_not_divided_by_the_last_bits_of_its_spread() -> None:
    """Silence would be louder than anything: -15.9 / 0.000001."""
    ours = replace(extractor("Speech2TextFeatureExtractor")[1], means=False)
    found = [
        encoded(ours, [np.full(samples, 0.1, dtype=np.float32)]).collate(np.arange(1))["input_features"]
        for samples in (8000, 16_000, 33_000)
    ]
    assert max(float(features.abs().max()) for features in found) < 20  # the logarithms themselves
    spoken = encoded(ours).collate(np.arange(1))["input_features"]
    assert spoken[0].std(0, correction=0).numpy() == pytest.approx(1, abs=1e-3)
