"""From a sound's file or array to one channel of samples from -1 to 1: what is converted, what is refused, what is said.

Converted: any sample width; several channels become their mean (ITU-R BS.775 mixes alike for equal weights), or the first where
the mean cancels out. A wrong suffix does not matter, the content tells its format.

Source: IBM and Microsoft 1991, Multimedia Programming Interface (RIFF/WAVE); RFC 9639 (FLAC).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from tunewright.core.optional_packages import require
from tunewright.datasets.media import Content, Level, UnreadableError, opened, other_kind

LONGEST = 600.0  # seconds; a longer recording is no example but a collection of them (a guess)
_SHORTEST = 0.01  # seconds; less than one window of a spectrogram says nothing (a guess)
_MOST_VALUES = 2**27  # samples times channels, 512 MiB once decoded: ten minutes of stereo at 96 kHz (a guess)
_RATES = (1_000, 768_000)  # samples per second, from telephone to the fastest converters (a guess)
_FORMATS = frozenset(("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "AIFF"))
_CHANNELS = 8
_LOUDEST = 4.0  # beyond this (12 dB above full scale) samples are integers that were not scaled (a guess)
_SILENT = 1e-4  # -80 dB (a guess)
_CANCELLED = 0.01  # share of the channels' energy that is left in their mean: -20 dB (a guess)
_UNKNOWN_SIZE = 0xFFFFFFFF

REMARKS: dict[str, tuple[Level, str]] = {
    "anti_phase": ("warning", "have channels that cancel each other out; the first is used instead of their mean"),
    "silent": ("warning", "are silent (below -80 dB)"),
    "clipped": ("warning", "have samples outside -1 to 1, which are clipped"),
}


@dataclass(frozen=True, eq=False)
class Sound:
    """Samples as given, (samples,) or (samples, channels), with their rate in samples per second."""

    samples: np.ndarray
    rate: int


@dataclass(frozen=True, eq=False)
class Decoded:
    """One channel (samples,) float32 from -1 to 1; ``remarks`` are keys of ``REMARKS``."""

    samples: np.ndarray
    rate: int
    remarks: tuple[str, ...]


def length(content: Content | Sound) -> tuple[int, int]:
    """Samples and rate that a sound declares; what is too long or no sound at all is ``UnreadableError``."""
    if isinstance(content, Sound):
        samples = _columns(content.samples)
        _refuse(len(samples), samples.shape[1], content.rate)
        return len(samples), content.rate
    with _reading(content) as sound:
        return sound.frames, sound.samplerate


def decode(content: Content | Sound, seconds: float = LONGEST) -> Decoded:
    """The first ``seconds``; anything wrong with them is ``UnreadableError``."""
    if isinstance(content, Sound):
        samples, rate = _columns(content.samples), content.rate
        _refuse(len(samples), samples.shape[1], rate)
        samples = _scaled(samples[: _samples(seconds, rate)])
    else:
        with _reading(content) as sound:
            rate, wanted = sound.samplerate, min(sound.frames, _samples(seconds, sound.samplerate))
            samples = sound.read(wanted, dtype="float32", always_2d=True)
            if len(samples) < wanted:
                raise UnreadableError(f"is truncated: it declares {wanted:,} samples and holds {len(samples):,}")
    return _mono(samples, rate)


def _samples(seconds: float, rate: int) -> int:
    return int(np.ceil(seconds * rate))


@contextmanager
def _reading(content: Content) -> Iterator[Any]:
    """A sound whose header was read and accepted; what its library raises inside is ``UnreadableError``."""
    soundfile = require("soundfile", "audio", "sounds")
    with opened(content) as file:
        _refuse_wave(file)
        try:
            with soundfile.SoundFile(file) as sound:
                if sound.format not in _FORMATS:
                    raise UnreadableError(f"is {sound.format}: save it as WAV or FLAC")
                _refuse(sound.frames, sound.channels, sound.samplerate)
                yield sound
        except soundfile.LibsndfileError as error:
            file.seek(0)
            if file.read(4) in (b"RIFF", b"fLaC", b"OggS", b"FORM", b"RF64"):
                raise UnreadableError(f"is a damaged sound ({str(error)[:120]})") from None
            raise UnreadableError(other_kind(file, "a sound")) from None


def _refuse(frames: int, channels: int, rate: int) -> None:
    if not _RATES[0] <= rate <= _RATES[1]:
        raise UnreadableError(f"has {rate:,} samples per second, outside {_RATES[0]:,} to {_RATES[1]:,}")
    if channels > _CHANNELS:
        raise UnreadableError(f"has {channels} channels, more than {_CHANNELS}")
    if not frames:
        raise UnreadableError("has no samples")
    if frames / rate > LONGEST:
        raise UnreadableError(f"declares {frames / rate:,.0f} seconds, more than {LONGEST:,.0f}: cut it into examples")
    if frames * channels > _MOST_VALUES:
        raise UnreadableError(f"declares {frames * channels:,} values, more than {_MOST_VALUES:,}: resample it")
    if frames / rate < _SHORTEST:
        raise UnreadableError(f"is {frames} samples long, less than {_SHORTEST:g} seconds")


def _refuse_wave(file: BinaryIO) -> None:
    """The sizes that a RIFF file declares are those that it has; the library would read on quietly."""
    start = file.read(12)
    size = file.seek(0, os.SEEK_END)
    file.seek(12)
    if start[:4] == b"RIFF" and start[8:12] == b"WAVE":
        _refuse_chunks(file, 8 + int.from_bytes(start[4:8], "little"), size)
    file.seek(0)


def _refuse_chunks(file: BinaryIO, declared: int, size: int) -> None:
    while len(head := file.read(8)) == 8:
        held, place = int.from_bytes(head[4:], "little"), file.tell()
        if head[:4] == b"data":
            if held > size - place:
                piped = " (written through a pipe: convert it once more)" if held >= _UNKNOWN_SIZE - 2**16 else ""
                raise UnreadableError(f"is truncated: it declares {held:,} bytes of samples and holds {size - place:,}{piped}")
            if not place + held <= declared <= size + 1:
                raise UnreadableError(f"is damaged: its RIFF header declares {declared:,} bytes, the file has {size:,}")
            return
        file.seek(held + held % 2, os.SEEK_CUR)
    raise UnreadableError("has no samples")


def _columns(samples: np.ndarray) -> np.ndarray:
    """(samples, channels); the shorter side of two is the channels."""
    if samples.ndim == 1:
        return samples[:, None]
    if samples.ndim == 2 and min(samples.shape) <= _CHANNELS:
        return samples if samples.shape[1] <= samples.shape[0] else samples.T
    raise UnreadableError(f"is an array of shape {samples.shape}: give (samples,) or (samples, channels)")


def _scaled(samples: np.ndarray) -> np.ndarray:
    """Integers by their type's range, floating-point values as they are."""
    if samples.dtype in (np.int16, np.int32):
        return samples.astype(np.float32) / np.float32(2.0 ** (8 * samples.dtype.itemsize - 1))
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) / 128
    if samples.dtype.kind != "f":
        raise UnreadableError(f"is an array of {samples.dtype}: give int16, or float from -1 to 1")
    return samples.astype(np.float32)


def _mono(samples: np.ndarray, rate: int) -> Decoded:
    if not np.isfinite(samples).all():
        raise UnreadableError("holds samples that are no numbers (NaN or infinity)")
    remarks: tuple[str, ...] = ()
    single = samples.mean(axis=1)
    if samples.shape[1] > 1 and (single**2).mean() < _CANCELLED * (samples**2).mean():
        single, remarks = samples[:, 0], ("anti_phase",)
    peak = float(np.abs(single).max())
    if peak > _LOUDEST:
        raise UnreadableError(f"has samples up to {peak:,.0f}: scale them to -1 … 1")
    if peak > 1:
        remarks += ("clipped",)
    elif peak < _SILENT:
        remarks += ("silent",)
    return Decoded(np.ascontiguousarray(single.clip(-1, 1), dtype=np.float32), rate, remarks)
