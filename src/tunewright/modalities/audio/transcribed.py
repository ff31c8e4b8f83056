"""Sounds whose words are to be spelt: clips with the frames that the network makes of each, and the alphabet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tunewright.datasets.transcripts import Characters
from tunewright.modalities.audio import modality as audio

if TYPE_CHECKING:
    from torch import Tensor

    from tunewright.config.audio_augmentation import AudioAugmentation


@dataclass(frozen=True)
class Encoded:
    """n clips; ``frames``: how many of the network's frames hold each clip, (n,) int64, the rest is padding."""

    sounds: audio.Encoded
    frames: np.ndarray
    characters: Characters

    def __len__(self) -> int:
        return len(self.sounds)

    @property
    def lengths(self) -> np.ndarray:
        return self.sounds.lengths

    @property
    def truncated(self) -> int:
        return self.sounds.truncated

    @property
    def varies(self) -> bool:
        return self.sounds.varies

    @property
    def limit(self) -> str:
        """Where clips are cut, in words."""
        return self.sounds.limit

    def disturbed(self, augmentation: AudioAugmentation) -> Encoded:
        """The same clips, changed at random in batches for training."""
        return replace(self, sounds=self.sounds.disturbed(augmentation))

    def subset(self, rows: np.ndarray) -> Encoded:
        """Some clips, in the order given."""
        return replace(self, sounds=self.sounds.subset(rows), frames=self.frames[rows])

    def collate(self, rows: np.ndarray, *, training: bool = False) -> dict[str, Tensor]:
        """What the network reads of some clips."""
        return self.sounds.collate(rows, training=training)

    def arrays(self) -> Iterable[np.ndarray]:
        """All that tells these clips from others."""
        return self.sounds.arrays()
