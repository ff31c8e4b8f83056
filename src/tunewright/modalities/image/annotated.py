"""Images with something known of each beside its pixels: its mask, or the size that it had.

In training they change by what boxes and masks can follow: colours, erasing, and mirror images, of which ``MIRRORED`` tells.
When: boxes and masks are told of whole images. When not: one answer for an image (encoders/image.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tunewright.config.augmentation import Augmentation, Mixing
from tunewright.core.errors import UserError
from tunewright.modalities.image import modality as image
from tunewright.modalities.image.augment import mirrored

if TYPE_CHECKING:
    from torch import Tensor


MIRRORED = "mirrored"  # in a training batch, (batch,) bool: whose targets are to be mirrored as well


@dataclass(frozen=True)
class Encoded:
    """n images, and ``known`` (n, …) of each; None where nothing is. ``mirror`` is the probability of a mirror image."""

    images: image.Encoded
    known: Any
    mirror: float = 0.0
    truncated: ClassVar[int] = 0

    def __len__(self) -> int:
        return len(self.images)

    @property
    def lengths(self) -> np.ndarray:
        return self.images.lengths

    @property
    def varies(self) -> bool:
        return self.images.varies or self.mirror > 0

    def augmented(self, augmentation: Augmentation, mixing: Mixing) -> Encoded:
        """The same images, changed at random in batches for training; what moves pixels otherwise is a ``UserError``."""
        moving = {"crop_scale": augmentation.crop_scale < 1, "policy_changes": augmentation.policy_changes > 0}
        for name, wanted in moving.items():
            if wanted:
                raise UserError(
                    f"data.augmentation.{name} moves pixels, and boxes and masks would not follow",
                    expected="horizontal_flip, brightness, contrast, saturation or erase",
                )
        still = augmentation.model_copy(update={"horizontal_flip": 0.0})
        return replace(self, images=self.images.augmented(still, mixing), mirror=augmentation.horizontal_flip)

    def subset(self, rows: np.ndarray) -> Encoded:
        """Some images, in the order given."""
        return replace(self, images=self.images.subset(rows), known=None if self.known is None else self.known[rows])

    def collate(self, rows: np.ndarray, *, training: bool = False) -> dict[str, Tensor]:
        """pixel_values (batch, channels, height, width); in training what is mirrored, where some are."""
        made = self.images.collate(rows, training=training)
        if training and self.mirror:
            import torch

            made[MIRRORED] = torch.rand(len(rows)) < self.mirror
            made["pixel_values"] = mirrored(made["pixel_values"], made[MIRRORED])
        return made

    def arrays(self) -> Iterable[np.ndarray]:
        """All that tells these images from others."""
        return self.images.arrays()
