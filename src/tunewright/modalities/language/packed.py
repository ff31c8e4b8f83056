"""The rows of a batch in fewer, longer ones: what is learned in a step stays the same, and no row sees another.

Source and measurements: ``modalities/language/packing.py``. When: an accelerator, and rows of unlike lengths in one
batch. When not: a processor, or methods that put tokens before each row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tunewright.modalities.language import causal as language
from tunewright.modalities.language.packing import collate_packed, masks_of, pack

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Encoded:
    """Training examples of ``flat`` that are packed batch by batch into at most ``room`` tokens; ``config`` is the model's."""

    flat: language.Encoded
    room: int
    config: Any
    varies: ClassVar[bool] = True  # what stands where depends on the batch, so nothing can be kept

    def __len__(self) -> int:
        return len(self.flat)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each example, (n,)."""
        return self.flat.lengths

    @property
    def truncated(self) -> int:
        """Examples that lost their end."""
        return self.flat.truncated

    def packs(self, rows: np.ndarray) -> list[np.ndarray]:
        """The examples of each pack; the same for the same rows."""
        return [rows[places] for places in pack(self.lengths[rows], self.room, seed=0, epoch=0)]

    def subset(self, rows: np.ndarray) -> Encoded:
        """Some examples, in the order given."""
        return replace(self, flat=self.flat.subset(rows))

    def collate(self, rows: np.ndarray, *, training: bool = False) -> dict[str, Any]:
        """input_ids and position_ids (packs, tokens), and the mask that keeps rows apart."""
        import torch

        made: dict[str, Tensor] = collate_packed(self.flat, self.packs(rows))
        mask = masks_of(self.config, made["segments"], torch.float32)
        return {"input_ids": made["input_ids"], "position_ids": made["position_ids"], "attention_mask": mask}

    def arrays(self) -> Iterable[np.ndarray]:
        """All that tells these examples from others."""
        return self.flat.arrays()


@dataclass(frozen=True)
class Targets:
    """What each token of the packs is to be told by those before it."""

    encoded: Encoded

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, rows: np.ndarray) -> Targets:
        return Targets(self.encoded.subset(rows))

    def padded(self, rows: np.ndarray, side: str = "right") -> np.ndarray:
        """(packs, tokens), at the places of ``collate``."""
        labels: np.ndarray = collate_packed(self.encoded.flat, self.encoded.packs(rows))["labels"].numpy()
        return labels
