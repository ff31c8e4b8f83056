"""Examples ready for the network: token ids of ragged length, and their targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tunewright.data.encoders.text import Encoded, collate, encode_texts
from tunewright.models.network import Network


@dataclass(frozen=True)
class Examples:
    """n encoded rows; ``targets`` is None where they are only to be predicted."""

    encoded: Encoded
    targets: np.ndarray | None

    def __len__(self) -> int:
        return len(self.encoded)

    def subset(self, rows: np.ndarray) -> Examples:
        """Some rows, in the order given."""
        return Examples(self.encoded.subset(rows), None if self.targets is None else self.targets[rows])


def encode(network: Network, texts: list[tuple[str, ...]], targets: np.ndarray | None, max_length: int) -> Examples:
    """Tokenise rows for a network, cut to what both the recipe and the model's positions allow."""
    longest = getattr(network.inner.config, "max_position_embeddings", None) or max_length
    reserved = 2 if network.inner.config.model_type in {"roberta", "mpnet", "xlm-roberta", "camembert"} else 0
    return Examples(encode_texts(network.tokenizer, texts, min(max_length, longest - reserved)), targets)


def batch(network: Network, examples: Examples, rows: np.ndarray) -> dict[str, Tensor]:
    """The padded inputs of some rows, each (batch, tokens), on the network's device."""
    tokenizer = network.tokenizer
    padded = collate(examples.encoded, rows, tokenizer.pad_token_id, tokenizer.padding_side)
    return {name: padded[name].to(network.device, non_blocking=True) for name in network.reads if name in padded}


def targets_of(examples: Examples, rows: np.ndarray, device: torch.device) -> Tensor:
    """Targets of some rows, in the shape their task gives them."""
    assert examples.targets is not None
    return torch.from_numpy(examples.targets[rows]).to(device, non_blocking=True)
