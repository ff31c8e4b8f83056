"""Images with something known of each beside its pixels: its mask, or the size that it had.

When: boxes and masks are told of whole images. When not: one answer for an image (encoders/image.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tunewright.data.encoders import image

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Encoded:
    """n images, and ``known`` (n, …) of each; None where nothing is."""

    images: image.Encoded
    known: Any
    varies: ClassVar[bool] = False
    truncated: ClassVar[int] = 0

    def __len__(self) -> int:
        return len(self.images)

    @property
    def lengths(self) -> np.ndarray:
        return self.images.lengths

    def subset(self, rows: np.ndarray) -> Encoded:
        """Some images, in the order given."""
        return Encoded(self.images.subset(rows), None if self.known is None else self.known[rows])

    def collate(self, rows: np.ndarray, *, training: bool = False) -> dict[str, Tensor]:
        """pixel_values (batch, channels, height, width)."""
        return self.images.collate(rows)

    def arrays(self) -> Iterable[np.ndarray]:
        """All that tells these images from others."""
        return self.images.arrays()
