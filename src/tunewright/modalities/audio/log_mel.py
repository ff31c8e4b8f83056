"""Log-mel spectrograms as Kaldi and Whisper make them: windows, Fourier transform, mel filters, logarithm.

Source: Davis and Mermelstein 1980, section II (mel filters); Povey et al. 2011, The Kaldi toolkit, section III (features);
Radford et al. 2023, Whisper, section 2.2; Slaney 1998, Auditory Toolbox (the scale that Whisper uses).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

Scale = Literal["kaldi", "slaney"]
_FLOOR = {"kaldi": float(np.finfo(np.float32).eps), "slaney": 1e-10}  # Kaldi's and Whisper's least energy
_WINDOW, _HOP = 0.025, 0.010  # seconds, Kaldi's defaults
_PREEMPHASIS = 0.97  # Kaldi's default


@dataclass(frozen=True)
class LogMel:
    """Windows of ``points`` samples every ``hop``; ``mels`` filters from ``low`` to ``high`` hertz; their cepstra, or 0."""

    points: int = 480
    hop: int = 160
    mels: int = 40
    low: float = 20.0
    high: float = 4000.0
    cepstra: int = 0


def kaldi_fbank(samples: np.ndarray, rate: int, mels: int, *, povey: bool) -> np.ndarray:
    """Log energies of ``mels`` filters from 20 Hz up, (frames, mels) float32; a window of 25 ms every 10 ms, none padded.

    In each window the mean is removed and every sample loses 0.97 of the one before. Samples are scaled as the caller likes
    (Kaldi: to 16 bits). ``povey``: Kaldi's window, else Hann's.
    """
    width, hop = round(_WINDOW * rate), round(_HOP * rate)
    frames = _frames(np.pad(samples, (0, max(0, width - len(samples)))), width, hop).astype(np.float64)
    frames = frames - frames.mean(axis=1, keepdims=True)
    shifted = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    window = np.hanning(width)
    frames = (frames - _PREEMPHASIS * shifted) * (window**0.85 if povey else window)
    points = 1 << (width - 1).bit_length()
    power = np.abs(np.fft.rfft(frames, points)) ** 2
    energies = power @ mel_filters(points // 2 + 1, mels, 20.0, rate // 2, rate, "kaldi")
    found: np.ndarray = np.log(np.maximum(energies, _FLOOR["kaldi"])).astype(np.float32)
    return found


def cepstra(samples: np.ndarray, rate: int, how: LogMel) -> np.ndarray:
    """(1 + samples // hop, mels or cepstra) float32: log energies of Slaney's filters, and their cosine transform where asked.

    Windows of ``points`` are centred, with the ends mirrored; where there is no energy the logarithm counts as 0, as keyword
    spotters have it (Tang and Lin 2018, section 3.1: silence is not the largest of all numbers).
    """
    padded = np.pad(samples.astype(np.float64), how.points // 2, mode="reflect")
    window = np.hanning(how.points + 1)[:-1]
    power = np.abs(np.fft.rfft(_frames(padded, how.points, how.hop) * window)) ** 2
    energies = power @ mel_filters(how.points // 2 + 1, how.mels, how.low, how.high, rate, "slaney")
    logs = np.log(np.where(energies > 0, energies, 1.0))
    return (logs @ _cosines(how.mels, how.cepstra) if how.cepstra else logs).astype(np.float32)


@lru_cache(maxsize=16)
def _cosines(mels: int, count: int) -> np.ndarray:
    """The orthonormal cosine transform of the second kind, its first columns, (mels, count) float64."""
    order = np.arange(count)
    found: np.ndarray = np.cos(np.pi / mels * (np.arange(mels)[:, None] + 0.5) * order) * np.sqrt(2 / mels)
    found[:, 0] = np.sqrt(1 / mels)
    return found


def frame_count(samples: int, rate: int) -> int:
    """Frames that ``kaldi_fbank`` makes of so many samples."""
    width, hop = round(_WINDOW * rate), round(_HOP * rate)
    return 1 + (max(samples, width) - width) // hop


def whisper_log_mel(samples: np.ndarray, rate: int, mels: int, points: int, hop: int) -> np.ndarray:
    """(mels, samples // hop) float32 about -1 to 1: the loudest 80 dB of a clip, in decades, plus 4, by 4.

    Windows of ``points`` are centred, with the ends mirrored.
    """
    padded = np.pad(samples, points // 2, mode="reflect")
    window = np.hanning(points + 1)[:-1]
    power = np.abs(np.fft.rfft(_frames(padded, points, hop)[:-1] * window)) ** 2
    energies = power @ mel_filters(points // 2 + 1, mels, 0.0, 8000.0, rate, "slaney")
    decades = np.log10(np.maximum(energies, _FLOOR["slaney"]))
    decades = np.maximum(decades, decades.max() - 8.0)
    return np.ascontiguousarray(((decades + 4.0) / 4.0).T, dtype=np.float32)


@lru_cache(maxsize=16)
def mel_filters(bins: int, mels: int, low: float, high: float, rate: int, scale: Scale) -> np.ndarray:
    """Triangles that overlap by half, (bins, mels) float64.

    Kaldi's are triangles on the mel scale of height 1; Slaney's are triangles in hertz of equal area.
    """
    edges = np.linspace(_to_mel(np.array(low), scale), _to_mel(np.array(high), scale), mels + 2)
    hertz = np.arange(bins) * (rate / (2 * (bins - 1)))
    places = _to_mel(hertz, scale) if scale == "kaldi" else hertz
    corners = edges if scale == "kaldi" else _slaney_to_hertz(edges)
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    rising = (places[:, None] - left) / (middle - left)
    falling = (right - places[:, None]) / (right - middle)
    filters: np.ndarray = np.maximum(0.0, np.minimum(rising, falling))
    if scale == "slaney":
        filters = filters * (2.0 / (right - left))
    filters.flags.writeable = False
    return filters


def _to_mel(hertz: np.ndarray, scale: Scale) -> np.ndarray:
    if scale == "kaldi":
        found: np.ndarray = 1127.0 * np.log1p(hertz / 700.0)
        return found
    # Slaney: linear up to 1000 Hz (15 mels), then 27 mels for each factor of 6.4
    return np.where(hertz < 1000, hertz * 0.015, 15 + np.log(np.maximum(hertz, 1e-9) / 1000) * 27 / np.log(6.4))


def _slaney_to_hertz(mels: np.ndarray) -> np.ndarray:
    return np.where(mels < 15, mels / 0.015, 1000 * np.exp((mels - 15) * np.log(6.4) / 27))


def _frames(samples: np.ndarray, width: int, hop: int) -> np.ndarray:
    """Windows of ``width`` every ``hop`` samples, (frames, width), as a view."""
    return np.lib.stride_tricks.sliding_window_view(samples, width)[::hop]
