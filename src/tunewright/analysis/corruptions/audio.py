"""White noise and loudness of sounds.

Source: noise at ratios to the signal: Hu and Loizou 2007, NOIZEUS, section 2 (0 to 15 dB there, of recorded noise).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tunewright.datasets.formats.audio_files import Sound, decode

Change = Callable[[tuple[Any, ...], np.random.Generator], tuple[Any, ...]]


def plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The sound as one channel of samples from -1 to 1."""
    found = decode(row[0])
    return (Sound(found.samples, found.rate),)


def changes() -> dict[str, Change]:
    """By their names, of rows that ``plain`` made."""
    noises = {f"noise at {ratio} dB": partial(_noisy, ratio) for ratio in (20, 10, 0)}
    return {**noises, "a tenth as loud": partial(_louder, 0.1), "four times as loud, clipped": partial(_louder, 4.0)}


def _noisy(ratio: float, row: tuple[Any, ...], generator: np.random.Generator) -> tuple[Any, ...]:
    samples = row[0].samples
    power = float(np.square(samples).mean()) / 10 ** (ratio / 10)
    noise = generator.normal(scale=power**0.5, size=samples.shape)
    return (Sound((samples + noise).clip(-1, 1).astype(np.float32), row[0].rate),)


def _louder(factor: float, row: tuple[Any, ...], generator: np.random.Generator) -> tuple[Any, ...]:
    return (Sound((row[0].samples * np.float32(factor)).clip(-1, 1), row[0].rate),)
