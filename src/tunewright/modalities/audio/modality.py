"""Sounds as 16-bit samples of one channel at the model's rate, made into what it reads in each batch.

Source: Baevski et al. 2020, wav2vec 2.0, section 2 (raw samples); Gong et al. 2021, AST, section 2.1; Radford et al. 2023,
Whisper, section 2.2; Wang et al. 2020, fairseq S2T, section 2 (log-mel features).
When: clips of seconds to a minute. When not: hours of recording, which are to be cut first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil, gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tunewright.config.audio_augmentation import AudioAugmentation
from tunewright.core.errors import UserError, unknown
from tunewright.core.optional_packages import require
from tunewright.core.rounding import grain
from tunewright.core.types import Finding
from tunewright.datasets import columns as look
from tunewright.datasets import media
from tunewright.datasets.formats.audio_files import REMARKS, Sound, decode, length
from tunewright.datasets.formats.class_folders import AUDIO_SUFFIXES
from tunewright.datasets.media_columns import media_column
from tunewright.datasets.schema import guess_target, guess_task
from tunewright.datasets.table import Table
from tunewright.modalities.audio.log_mel import LogMel, cepstra, frame_count, kaldi_fbank, whisper_log_mel
from tunewright.modalities.audio.noise import disturbed
from tunewright.modalities.audio.spec_augment import spec_augment
from tunewright.modalities.large_arrays import MEMORY, room
from tunewright.modalities.processor_files import read_preparation

if TYPE_CHECKING:
    from torch import Tensor

RECOGNITION_ORDER = 110
TOKENIZED = False
SCRATCH_LOADING = None

Kind = Literal["raw", "ast", "speech2text", "whisper", "log_mel"]
# transformers' feature extractors that are known here.
_KINDS: dict[str, Kind] = {
    "ASTFeatureExtractor": "ast",
    "Speech2TextFeatureExtractor": "speech2text",
    "Wav2Vec2FeatureExtractor": "raw",
    "WhisperFeatureExtractor": "whisper",
    "LogMel": "log_mel",  # our own, for modules from Python
}
_SECONDS = 10.0  # where the model sets no limit (a guess: memory grows with the square of it)
_NAMES = frozenset(
    (
        *("audio", "sound", "speech", "clip", "wav", "file", "path", "filename", "file_name", "audio_path", "audio_file"),
        "audio_filepath",  # NeMo's manifests
    )
)
_TRANSCRIPTS = frozenset(
    ("text", "sentence", "transcription", "transcript", "transcripts", "normalized_text", "utterance", "raw_transcription")
)
_BEGINNINGS = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"FORM", b"ID3", b"\xff\xfb", b"\xff\xf3")
_OF_ROWS: tuple[str, ...] = ("classification", "multi_label", "regression")  # tasks with one answer for a clip
_FULL = 32768  # of 16 bits
_EPSILON = 1e-7  # wav2vec 2.0's, beside the variance
_AST_FRAMES = 1024  # AST's own, 10.24 seconds


@dataclass(frozen=True)
class AudioPreprocessing:
    """What a model wants of a sound: its rate, how much of it, and samples or which spectrogram.

    ``kind`` raw: samples, each clip with mean 0 and variance 1 where ``normalize``, with an attention mask where ``mask``;
    without one every clip is filled up to ``max_seconds``, so that its neighbors in a batch do not matter. ast: ``frames`` of
    Kaldi features, normalized by ``mean`` and twice ``std``. speech2text: Kaldi features, each channel of a clip centred
    (``means``) and scaled (``variances``). whisper: log-mel of ``max_seconds`` by ``points`` and ``hop``. ``window`` and
    ``stride`` are the network's own and in no file of the feature extractor. log_mel, for modules from Python:
    ``max_seconds``, filled up with silence, of ``mels`` log energies from ``low`` to ``high`` hertz, or of so many ``cepstra``.
    """

    kind: Kind = "raw"
    rate: int = 16_000
    max_seconds: float = _SECONDS
    normalize: bool = True
    mask: bool = True
    mels: int = 0
    frames: int = 0
    mean: float = 0.0
    std: float = 1.0
    means: bool = True
    variances: bool = True
    points: int = 400
    hop: int = 160
    window: int = 400  # samples that one frame of wav2vec 2.0's convolutions sees
    stride: int = 320  # samples from one of them to the next
    low: float = 20.0
    high: float = 4000.0
    cepstra: int = 0

    def __post_init__(self) -> None:
        if self.kind == "log_mel":
            _check_log_mel(self)
            object.__setattr__(self, "frames", 1 + self.most_samples // self.hop)

    @classmethod
    def from_processor_config(cls, config: Mapping[str, Any]) -> AudioPreprocessing:
        """The settings in a feature extractor's ``preprocessor_config.json``; what cannot be done alike is a ``UserError``.

        ``max_seconds`` is our own key there, for models that set no limit; 10 where it is missing.
        """
        kind = _kind(config)
        _refuse_unsupported(config)
        rate = _number(config, "sampling_rate", 16_000, 1_000, 384_000)
        seconds = float(config.get("max_seconds", _SECONDS))
        normalize = bool(config.get("do_normalize", True))
        mask = bool(config.get("return_attention_mask", False))
        if kind == "raw":
            return cls(kind, rate, seconds, normalize, mask)
        if kind == "speech2text":
            mels = _number(config, "num_mel_bins", 80, 1, 512)
            means, variances = (bool(config.get(key, True)) for key in ("normalize_means", "normalize_vars"))
            return cls(
                kind, rate, seconds, bool(config.get("do_ceptral_normalize", True)), True, mels, means=means, variances=variances
            )
        if kind == "ast":
            frames = _number(config, "max_length", _AST_FRAMES, 1, 100_000)
            mels = _number(config, "num_mel_bins", 128, 1, 512)
            seconds = ((frames - 1) * 0.01) + 0.025
            mean, std = float(config.get("mean", -4.2677393)), float(config.get("std", 4.5689974))
            return cls(kind, rate, seconds, normalize, False, mels, frames, mean, std)
        hop, points = _number(config, "hop_length", 160, 1, 100_000), _number(config, "n_fft", 400, 2, 100_000)
        if kind == "log_mel":
            mels, kept = _number(config, "num_mel_bins", 40, 1, 512), _number(config, "cepstra", 0, 0, 512)
            low, high = float(config.get("low", 20.0)), float(config.get("high", 4000.0))
            return cls(kind, rate, seconds, False, False, mels, points=points, hop=hop, low=low, high=high, cepstra=kept)
        chunk, mels = _number(config, "chunk_length", 30, 1, 600), _number(config, "feature_size", 80, 1, 512)
        return cls(kind, rate, float(chunk), False, False, mels, chunk * rate // hop, points=points, hop=hop)

    def to_dict(self) -> dict[str, Any]:
        """The same as a ``preprocessor_config.json`` that transformers opens."""
        name = next(name for name, kind in _KINDS.items() if kind == self.kind)
        config: dict[str, Any] = {"feature_extractor_type": name, "sampling_rate": self.rate, "padding_value": 0.0}
        config |= {"padding_side": "right", "return_attention_mask": self.mask}
        if self.kind == "raw":
            return config | {"feature_size": 1, "do_normalize": self.normalize, "max_seconds": self.max_seconds}
        if self.kind == "whisper":
            plain = {"n_fft": self.points, "hop_length": self.hop, "chunk_length": round(self.max_seconds)}
            return config | plain | {"feature_size": self.mels}
        config["num_mel_bins"] = self.mels
        if self.kind == "log_mel":
            named = {"n_fft": self.points, "hop_length": self.hop, "max_seconds": self.max_seconds}
            return config | named | {"low": self.low, "high": self.high, "cepstra": self.cepstra}
        if self.kind == "ast":
            config |= {"max_length": self.frames, "mean": self.mean, "std": self.std}
            return config | {"feature_size": 1, "do_normalize": self.normalize}
        flags = {"do_ceptral_normalize": self.normalize, "normalize_means": self.means, "normalize_vars": self.variances}
        return config | flags | {"feature_size": self.mels, "max_seconds": self.max_seconds}

    def under(self, kernels: Sequence[int], strides: Sequence[int]) -> AudioPreprocessing:
        """For a network that reads samples by convolutions, one after the other, as they are in its configuration."""
        steps = np.cumprod([1, *strides])
        window = 1 + sum((kernel - 1) * int(step) for kernel, step in zip(kernels, steps, strict=False))
        return replace(self, window=window, stride=int(steps[-1]))

    @property
    def channels(self) -> int:
        """Numbers in each frame of a spectrogram."""
        return self.cepstra or self.mels

    @property
    def most_samples(self) -> int:
        """Samples of a clip that are kept."""
        return ceil(self.max_seconds * self.rate)

    def frames_of(self, counts: np.ndarray) -> np.ndarray:
        """Frames that the network makes of so many samples, at least one."""
        found: np.ndarray = np.maximum(1, (counts - self.window) // self.stride + 1)
        return found


def _check_log_mel(how: AudioPreprocessing) -> None:
    """What no spectrogram can be made of is a ``UserError``."""
    ranges = (
        how.mels > 0 and 0 <= how.cepstra <= how.mels and 0 <= how.low < how.high <= how.rate / 2 and 0 < how.hop <= how.points
    )
    if not ranges:
        raise UserError(
            f"a spectrogram of {how.mels} mels from {how.low:g} to {how.high:g} Hz at {how.rate} Hz, with {how.cepstra} cepstra, "
            f"by {how.points} points every {how.hop}",
            expected="some mels between 0 and half the rate, at most as many cepstra, and windows no shorter than their distance",
        )


def _kind(config: Mapping[str, Any]) -> Kind:
    name = config.get("feature_extractor_type")
    if name is None and config.get("feature_size", 1) == 1 and "num_mel_bins" not in config:
        return "raw"  # wav2vec 2.0's first files do not name their type
    if name not in _KINDS:
        raise unknown("feature extractor", str(name), _KINDS)
    return _KINDS[name]


def _refuse_unsupported(config: Mapping[str, Any]) -> None:
    wrong = [key for key in ("padding_value", "dither") if config.get(key)]
    if config.get("padding_side", "right") != "right":
        wrong.append("padding_side")
    if wrong:
        listed = ", ".join(f"{key} {config[key]!r}" for key in wrong)
        raise UserError(f"the feature extractor has {listed}, which is not done here", expected="padding with 0 on the right")
    seconds = config.get("max_seconds", _SECONDS)
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0.05 <= seconds <= 600:
        raise UserError(f"the feature extractor's max_seconds is {seconds!r}", expected="seconds from 0.05 to 600")


def _number(config: Mapping[str, Any], key: str, default: int, low: int, high: int) -> int:
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UserError(f"the feature extractor's {key} is {value!r}", expected=f"a whole number from {low} to {high}")
    return value


@dataclass(frozen=True)
class Encoded:
    """n clips behind one another as 16-bit samples; a subset shares them. ``rows[i]`` is the number of example i's clip."""

    samples: np.ndarray  # (all samples,) int16, in memory or in a file
    counts: np.ndarray  # (stored,) int64: samples of each clip
    rows: np.ndarray  # (n,) int64
    preprocessing: AudioPreprocessing
    augmentation: AudioAugmentation = field(default_factory=AudioAugmentation)
    truncated: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def starts(self) -> np.ndarray:
        """Place of each stored clip's first sample, (stored,) int64."""
        found: np.ndarray = np.cumsum(self.counts) - self.counts
        return found

    @cached_property
    def lengths(self) -> np.ndarray:
        """Frames of each clip as the model reads them, padding that it always reads included, (n,) int64."""
        how, counts = self.preprocessing, self.counts[self.rows]
        if how.kind == "speech2text":
            return np.array([frame_count(count, how.rate) for count in counts], dtype=np.int64)
        if how.kind == "raw" and how.mask:
            return how.frames_of(counts)
        always = int(how.frames_of(np.array(how.most_samples))) if how.kind == "raw" else how.frames
        return np.full(len(self.rows), always, dtype=np.int64)

    @property
    def varies(self) -> bool:
        return self.augmentation.active

    @property
    def limit(self) -> str:
        """Where clips are cut, in words."""
        return f"{self.preprocessing.max_seconds:g} seconds"

    def disturbed(self, augmentation: AudioAugmentation) -> Encoded:
        """The same sounds, changed at random in batches for training; masks that raw samples do not have are a ``UserError``."""
        if augmentation.masks and self.preprocessing.kind == "raw":
            raise UserError(
                "time_masks and frequency_masks are for spectrograms, but this model reads samples",
                expected="data.audio_augmentation.noise or data.audio_augmentation.shift",
                try_="the model's own mask_time_prob in its config.json",
            )
        return replace(self, augmentation=augmentation)

    def subset(self, rows: np.ndarray) -> Encoded:
        """Some rows, in the order given; the samples are shared, and what was cut of them is not counted again."""
        return replace(self, rows=self.rows[rows], truncated=0)

    def clip(self, index: int) -> np.ndarray:
        """Samples of one example from -1 to 1, (samples,) float32."""
        place = self.rows[index]
        found: np.ndarray = self.samples[self.starts[place] : self.starts[place] + self.counts[place]] / np.float32(_FULL)
        return found

    def collate(self, rows: np.ndarray, *, training: bool = False) -> dict[str, Tensor]:
        """What the model reads, float32, under its own name; masks are int64.

        raw: input_values (batch, samples) and attention_mask; ast, log_mel: input_values (batch, frames, mels); speech2text:
        input_features (batch, frames, mels) and attention_mask; whisper: input_features (batch, mels, frames).
        """
        import torch

        how, clips = self.preprocessing, [self.clip(int(row)) for row in rows]
        if training and self.varies:
            clips = [disturbed(clip, how.rate, self.augmentation) for clip in clips]
        if how.kind == "raw":
            return _raw(clips, how)
        made = [_features(clip, how) for clip in clips]
        frames = max(how.frames, *(len(one) for one in made)) if how.kind == "speech2text" else how.frames
        lengths = torch.tensor([min(frames, _real_frames(len(clip), how)) for clip in clips])
        features = torch.zeros(len(made), frames, how.channels)
        for place, one in enumerate(made):
            features[place, : len(one)] = torch.from_numpy(one[:frames])
        if how.kind == "ast" and how.normalize:
            features = (features - how.mean) / (how.std * 2)
        if training and self.augmentation.masks:
            features = spec_augment(features, lengths, self.augmentation)
        if how.kind in ("ast", "log_mel"):
            return {"input_values": features}
        if how.kind == "whisper":
            return {"input_features": features.transpose(1, 2).contiguous()}
        return {"input_features": features, "attention_mask": (torch.arange(frames) < lengths[:, None]).long()}

    def arrays(self) -> Iterable[np.ndarray]:
        """Samples clip by clip with their lengths, and the settings that make them into features."""
        yield np.frombuffer(bytearray(repr(self.preprocessing).encode()), dtype=np.uint8)  # one that may be written to
        yield self.counts[self.rows]
        for place in self.rows:
            yield self.samples[self.starts[place] : self.starts[place] + self.counts[place]]


def _raw(clips: list[np.ndarray], how: AudioPreprocessing) -> dict[str, Tensor]:
    import torch

    width = max(map(len, clips)) if how.mask else how.most_samples
    values, mask = np.zeros((len(clips), width), dtype=np.float32), np.zeros((len(clips), width), dtype=np.int64)
    for place, clip in enumerate(clips):
        scaled = (clip - clip.mean()) / np.sqrt(clip.var() + _EPSILON) if how.normalize else clip
        values[place, : len(clip)], mask[place, : len(clip)] = scaled, 1
    found = {"input_values": torch.from_numpy(values)}
    return found | {"attention_mask": torch.from_numpy(mask)} if how.mask else found


def _features(clip: np.ndarray, how: AudioPreprocessing) -> np.ndarray:
    """(frames, mels) of one clip."""
    if how.kind == "whisper":
        return whisper_log_mel(np.pad(clip, (0, how.most_samples - len(clip))), how.rate, how.mels, how.points, how.hop).T
    if how.kind == "ast":
        return kaldi_fbank(clip, how.rate, how.mels, povey=False)
    if how.kind == "log_mel":
        whole = np.pad(clip, (0, how.most_samples - len(clip)))
        return cepstra(whole, how.rate, LogMel(how.points, how.hop, how.mels, how.low, how.high, how.cepstra))
    features = kaldi_fbank(clip * np.float32(_FULL), how.rate, how.mels, povey=True)
    rounding = grain(features)  # a silent band has no spread but for its last bits
    if how.normalize and how.means:
        features = features - features.mean(axis=0)
    if how.normalize and how.variances:
        spread = features.std(axis=0)
        features = features / np.where(spread > rounding, spread, 1)
    return features


def _real_frames(samples: int, how: AudioPreprocessing) -> int:
    if how.kind == "log_mel":
        return 1 + samples // how.hop
    return max(1, samples // how.hop) if how.kind == "whisper" else frame_count(samples, how.rate)


def recognize(table: Table, named: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...], str] | None:
    """A column of sounds (paths, bytes or arrays) beside what is said in them, or another target."""
    task = named.get("task")
    if task not in (None, "speech_recognition", *_OF_ROWS):
        return None
    # A column of texts beside it is what is said: it does not make the table one of texts, unless it is named as the input.
    beside = named if named.get("text") else {**named, "kind": "audio"}
    audio = media_column(table, beside, "audio", _NAMES, holds_sound)
    if audio is None:
        return None
    free = [name for name in table.columns if name != audio and name not in named.get("side", ())]
    said = look.named(free, _TRANSCRIPTS)
    target = tuple(named.get("target") or ())
    if not target:
        labels = look.named(free, look.TARGET_NAMES)
        if task is None and said and labels:
            raise look.ambiguous(table, "target", [*said, *labels], "target")
        wants_words = task == "speech_recognition" or (task is None and said)
        if wants_words and len(said) != 1:
            raise look.ambiguous(table, "target", said or free, "target")
        target = tuple(said) if wants_words else guess_target(table, [name for name in free if name not in said])
    words = task is None and len(target) == 1 and look.folded(target[0]) in _TRANSCRIPTS
    return (audio,), target, "speech_recognition" if words else task or guess_task([table.columns[name] for name in target], 1)


def holds_sound(cell: Any) -> bool:
    """Whether a cell is a sound: a path with a sound's ending, bytes that begin as one, or an array with its rate."""
    if isinstance(cell, dict):
        array = cell.get("array") is not None and bool(cell.get("sampling_rate"))
        return array or holds_sound(cell.get("bytes") or cell.get("path"))
    if isinstance(cell, (str, Path)):
        return Path(cell).suffix.lower() in AUDIO_SUFFIXES
    return isinstance(cell, Sound) or (isinstance(cell, bytes) and cell.startswith(_BEGINNINGS))


def read(table: Table, columns: tuple[str, ...], findings: list[Finding] | None = None) -> list[tuple[Any, ...]]:
    """The sound of each row: a path, a file of an archive, bytes, or a ``Sound``.

    Arrays come as ``{"array": (samples,) or (samples, channels), "sampling_rate": …}``. Every sound is decoded once; all faults
    are told together with their rows. What was odd is added to ``findings``.
    """
    require("soundfile", "audio", "sounds")
    if len(columns) != 1:
        raise UserError(f"{len(columns)} audio columns were named", expected="one")
    cells = media.located(table, look.find(table, columns[0], "text")[0], _own)
    distinct = {id(cell): cell for cell in cells}  # a path that several rows name is one object
    checked: list[tuple[str, ...] | str] = media.each(lambda cell: decode(cell).remarks, list(distinct.values()))
    by_cell = dict(zip(distinct, checked, strict=True))
    outcomes = [by_cell[id(cell)] for cell in cells]
    media.refuse(outcomes, lambda row: shown((cells[row],)), table.where)
    if findings is not None:
        findings += media.remarked(outcomes, REMARKS, "sounds", table)
    return [(cell,) for cell in cells]


def _own(cell: Any) -> Sound | None:
    if isinstance(cell, Sound):
        return cell
    if isinstance(cell, dict) and cell.get("array") is not None and cell.get("sampling_rate"):
        return Sound(np.asarray(cell["array"]), int(cell["sampling_rate"]))
    if isinstance(cell, (np.ndarray, list)):
        raise media.UnreadableError('is an array without its rate: give {"array": …, "sampling_rate": …}')
    return None


def encode(
    inputs: Sequence[tuple[Any, ...]],
    processor: AudioPreprocessing,
    *,
    memory: int = MEMORY,
    folder: Path | None = None,
    where: Callable[[Sequence[int]], str] = media.numbered,
) -> Encoded:
    """Decode and resample every sound once, in threads; ``where`` words the rows of what cannot be decoded.

    Above ``memory`` bytes the samples lie in a file in ``folder``.
    """
    declared = media.each(lambda row: length(row[0]), inputs)
    media.refuse(declared, lambda row: shown(inputs[row]), where)
    sizes = [size for size in declared if not isinstance(size, str)]
    counts = np.array([_resampled_length(*size, processor) for size in sizes], dtype=np.int64)
    samples = room((int(counts.sum()),), np.int16, memory=memory, folder=folder)
    starts = np.cumsum(counts) - counts

    def fill(row: int) -> None:
        found = decode(inputs[row][0], processor.max_seconds)
        values = resampled(found.samples, found.rate, processor.rate)[: counts[row]]
        samples[starts[row] : starts[row] + counts[row]] = np.rint(values * _FULL).clip(-_FULL, _FULL - 1)

    media.refuse(media.each(fill, range(len(inputs))), lambda row: shown(inputs[row]), where)
    truncated = sum(frames > processor.max_seconds * rate for frames, rate in sizes)
    return Encoded(samples, counts, np.arange(len(inputs)), processor, truncated=truncated)


def _resampled_length(frames: int, rate: int, how: AudioPreprocessing) -> int:
    kept = min(frames, ceil(how.max_seconds * rate))
    return min(how.most_samples, -(-kept * how.rate // rate))


def resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """At another rate, (ceil(samples * wanted / rate),) float32, by a polyphase filter that lets no alias through."""
    if rate == wanted:
        return samples
    from scipy.signal import resample_poly

    shared = gcd(rate, wanted)
    found: np.ndarray = resample_poly(samples, wanted // shared, rate // shared)
    return found


def shown(row: tuple[Any, ...]) -> str:
    """The sound's path, or its length, for tables."""
    (cell,) = row
    if isinstance(cell, Sound):
        return f"array of {max(cell.samples.shape) / max(1, cell.rate):.2f} s at {cell.rate:,} Hz"
    return media.name_of(cell)


def key(row: tuple[Any, ...]) -> bytes:
    """SHA-256 of the sound's file or samples, the same for exact duplicates."""
    (cell,) = row
    if isinstance(cell, Sound):
        kind = f"{cell.samples.dtype} {cell.samples.shape} {cell.rate} ".encode()
        return media.digest(kind + np.ascontiguousarray(cell.samples).tobytes())
    return media.digest(cell)


def load_processor(folder: Path, config: Any) -> AudioPreprocessing:
    """The preparation of sounds that the model folder declares, for the model's own convolutions where it has any."""

    def made(settings: dict[str, Any]) -> AudioPreprocessing:
        sounds = AudioPreprocessing.from_processor_config(settings)
        return sounds.under(config.conv_kernel, config.conv_stride) if hasattr(config, "conv_kernel") else sounds

    found: AudioPreprocessing = read_preparation(folder, "audio", made, ("feature_extractor", "audio_processor"))
    return found
