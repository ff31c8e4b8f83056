"""What may happen to training sounds: settings of the recipe; what they do is in ``data/sounds/``."""

from __future__ import annotations

from pydantic import Field

from tunewright.config.section import Section


class AudioAugmentation(Section):
    """Masks in the spectrogram (SpecAugment), noise and shifts; everything is off unless named."""

    time_masks: int = Field(
        0, ge=0, description="Stretches of time that are masked in each clip; 0 is none, 2 is Park 2019's LD."
    )
    time_width: int = Field(100, ge=1, description="Longest of them in frames of 10 ms (Park 2019, LD: 100).")
    time_share: float = Field(
        0.2, gt=0, le=1, description="Longest of them as a share of the clip (Park 2019, SM: 0.2), which protects short clips."
    )
    frequency_masks: int = Field(0, ge=0, description="Bands of frequency that are masked; 0 is none, 2 is Park 2019's LD.")
    frequency_width: int = Field(27, ge=1, description="Widest of them in mel channels (Park 2019, LD: 27 of 80).")
    noise: float | None = Field(
        None,
        ge=-10,
        le=80,
        description="Loudest white noise as signal-to-noise ratio in dB; each clip draws from it to 30 dB more.",
    )
    shift: float = Field(
        0.0, ge=0, le=5, description="Most seconds by which a clip is moved, either way; what leaves is lost (0.1: Warden 2018)."
    )

    @property
    def masks(self) -> bool:
        """Whether the spectrogram is masked, which raw samples do not have."""
        return self.time_masks > 0 or self.frequency_masks > 0

    @property
    def active(self) -> bool:
        return self.masks or self.noise is not None or self.shift > 0
