"""What heads share that are judged token by token: how many tokens count, and how likely a vocabulary makes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunewright.core.types import Labels
from tunewright.datasets.ragged import IGNORED
from tunewright.models.vocabulary import Vocabulary


def losses(output: Vocabulary, targets: Tensor, labels: Labels, settings: Any, weights: Tensor | None) -> Tensor:
    """Summed loss of each example's learned tokens, (batch,), of targets (batch, tokens) at the places of their ids."""
    return output.losses(targets).sum(1)


def counts(targets: Tensor, weights: Tensor | None) -> Tensor:
    """Tokens of each example that have a target, (batch,)."""
    return (targets != IGNORED).sum(1).float()


def keep(output: Vocabulary, encoded: Any, rows: np.ndarray) -> np.ndarray:
    """``likelihoods`` of examples that know their own targets."""
    return likelihoods(output, encoded.targets.padded(rows, encoded.side), encoded.sizes[rows])


def likelihoods(output: Vocabulary, targets: np.ndarray, sizes: np.ndarray, *, shifted: bool = True) -> np.ndarray:
    """Summed loss in nats, learned tokens, and UTF-8 bytes of each example, (batch, 3)."""
    with torch.no_grad():
        nats = output.losses(torch.from_numpy(targets).to(output.hidden.device), shifted=shifted).sum(1, dtype=torch.float64)
    return np.stack([nats.cpu().numpy(), (targets != IGNORED).sum(1), sizes], axis=1)


def by_row(kept: np.ndarray, rows: np.ndarray, columns: int) -> np.ndarray:
    """Sums (rows, columns) of what was kept of each row's examples; ``rows`` (n,) are the rows that they are of."""
    sums = np.zeros((int(rows.max(initial=-1)) + 1, columns))
    if len(kept):
        np.add.at(sums, rows, kept)
    return sums
