"""White noise and shifts in time for training clips, drawn from torch's global generator.

Source: Warden 2018, Speech Commands, section 5.2 (shifts up to 100 ms and background noise); white noise instead of recordings.
When: few sounds of clean recordings. When not: clips that fill their whole length, where a shift cuts the word.
"""

from __future__ import annotations

import numpy as np

from tunewright.config.audio_augmentation import AudioAugmentation

_QUIETEST = 30.0  # dB above the loudest noise's ratio: hardly heard (a guess)


def disturbed(clip: np.ndarray, rate: int, settings: AudioAugmentation) -> np.ndarray:
    """The clip (samples,) float32 moved and with noise, as long as before; silence is left silent."""
    import torch

    if settings.shift:
        most = min(round(settings.shift * rate), len(clip) - 1)
        moved = int(torch.randint(-most, most + 1, (1,)))
        clip = np.roll(clip, moved)
        clip[slice(0, moved) if moved >= 0 else slice(moved, None)] = 0  # what left does not come back at the other end
    if settings.noise is not None:
        ratio = settings.noise + _QUIETEST * float(torch.rand(1))
        power = float(np.square(clip).mean()) / 10 ** (ratio / 10)
        clip = clip + torch.randn(len(clip)).numpy() * np.float32(power**0.5)
    return clip
