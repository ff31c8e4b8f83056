"""Logits and features of many rows: sorted by length, without gradients, in the order the rows came."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from tunewright.data.batching import for_evaluation
from tunewright.engine.examples import Examples, batch
from tunewright.models.network import Network

# Rows per forward pass when nothing is kept for gradients; a guess that fits a 24 GiB machine at 512 tokens.
BATCH_SIZE = 64


def predict_logits(
    network: Network, examples: Examples, *, precision: str = "float32", batch_size: int = BATCH_SIZE
) -> np.ndarray:
    """Logits of all rows, (n, outputs), float32."""
    return _over_rows(network, examples, network, precision, batch_size)


def predict_features(
    network: Network, examples: Examples, *, precision: str = "float32", batch_size: int = BATCH_SIZE
) -> np.ndarray:
    """What the last linear layer reads, (n, width), float32."""
    return _over_rows(network, examples, network.features, precision, batch_size)


def arithmetic(network: Network, precision: str) -> torch.autocast:
    """The forward pass's arithmetic: bfloat16 where wanted, float32 otherwise."""
    return torch.autocast(network.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


@contextmanager
def evaluation_mode(network: Network) -> Iterator[None]:
    """No dropout and no gradients inside; every module's mode is as it was afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, training in modes:
            module.training = training


def _over_rows(
    network: Network, examples: Examples, forward: Callable[[dict[str, Tensor]], Tensor], precision: str, batch_size: int
) -> np.ndarray:
    out: np.ndarray | None = None
    with evaluation_mode(network), arithmetic(network, precision):
        for rows in for_evaluation(examples.encoded.lengths, batch_size):
            values = forward(batch(network, examples, rows)).float().cpu().numpy()
            if out is None:
                out = np.empty((len(examples), values.shape[1]), dtype=np.float32)
            out[rows] = values
    return np.empty((0, network.labels.outputs), dtype=np.float32) if out is None else out
