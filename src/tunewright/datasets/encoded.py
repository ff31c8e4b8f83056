"""EncodedDataset: rows as a network reads them, whatever their kind, with what it is to answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Encoded(Protocol):
    """What every input kind's ``encode`` returns; one folder in ``modalities/`` each."""

    @property
    def lengths(self) -> np.ndarray:
        """What each example costs, in tokens, patches or frames, (n,) int64."""

    @property
    def truncated(self) -> int:
        """Rows that lost their end."""

    @property
    def varies(self) -> bool:
        """Whether batches for training are drawn at random, so that nothing of them can be kept."""

    def __len__(self) -> int: ...

    def subset(self, rows: np.ndarray) -> Self:
        """Some rows, in the order given."""

    def collate(self, rows: np.ndarray, *, training: bool = False) -> dict[str, Tensor]:
        """The network's inputs for some rows, each (batch, …)."""

    def arrays(self) -> Iterable[np.ndarray]:
        """All that tells these rows from others."""


@runtime_checkable
class Together(Protocol):
    """Targets of several tensors."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: np.ndarray) -> Self:
        """Some examples, in the order given."""

    def batch(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The targets of some examples, each (batch, …)."""


@runtime_checkable
class Padded(Protocol):
    """Targets of as many values as an example has tokens; ``Ragged`` is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: np.ndarray) -> Self:
        """Some examples, in the order given."""

    def padded(self, rows: np.ndarray, side: str = "right") -> np.ndarray:
        """(batch, longest), filled up on one side as the inputs are."""


Targets = np.ndarray | Padded | Together


@dataclass(frozen=True)
class EncodedDataset:
    """n encoded examples; ``targets`` is None where they are only to be predicted."""

    encoded: Encoded
    targets: Targets | None

    def __len__(self) -> int:
        return len(self.encoded)

    def subset(self, rows: np.ndarray) -> EncodedDataset:
        """Some examples, in the order given."""
        return EncodedDataset(self.encoded.subset(rows), None if self.targets is None else self.targets[rows])


def batch(
    examples: EncodedDataset, rows: np.ndarray, reads: Iterable[str], device: torch.device, *, training: bool = False
) -> dict[str, Tensor]:
    """The inputs of some examples that a network reads, on its device; ``labels`` stay here, the loss is ours."""
    made = examples.encoded.collate(rows, training=training)
    known = set(reads) - {"labels"}
    return {name: _moved(value, device) for name, value in made.items() if name in known}


def _moved(value: Any, device: torch.device) -> Any:
    """A tensor, or several by name, on a device."""
    if isinstance(value, dict):
        return {name: _moved(one, device) for name, one in value.items()}
    return value.to(device, non_blocking=True)


def targets_of(examples: EncodedDataset, rows: np.ndarray, device: torch.device) -> Any:
    """Targets of some examples, a tensor in the shape their task gives them, or several by name; ragged ones are filled up."""
    import torch

    targets = examples.targets
    assert targets is not None
    if isinstance(targets, Together):
        return {name: torch.from_numpy(values).to(device, non_blocking=True) for name, values in targets.batch(rows).items()}
    side = getattr(examples.encoded, "side", "right")
    chosen = targets.padded(rows, side) if isinstance(targets, Padded) else targets[rows]
    return torch.from_numpy(chosen).to(device, non_blocking=True)
