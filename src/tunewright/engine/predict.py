"""Logits and features of many rows: sorted by length, without gradients, in the order the rows came."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from tunewright.data.batching import for_evaluation
from tunewright.engine.examples import Examples, batch
from tunewright.engine.passes import is_out_of_memory
from tunewright.models.network import Network

# Tokens per forward pass when nothing is kept for gradients; more were not faster where it was measured.
PASS_TOKENS = 8192


def predict_logits(network: Network, examples: Examples, *, precision: str = "float32", tokens: int = PASS_TOKENS) -> np.ndarray:
    """Logits of all rows, (n, outputs), float32."""
    return _over_rows(network, examples, network, precision, tokens)


def predict_features(
    network: Network, examples: Examples, *, precision: str = "float32", tokens: int = PASS_TOKENS
) -> np.ndarray:
    """What the last linear layer reads, (n, width), float32."""
    return _over_rows(network, examples, network.features, precision, tokens)


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
    network: Network, examples: Examples, forward: Callable[[dict[str, Tensor]], Tensor], precision: str, tokens: int
) -> np.ndarray:
    out: np.ndarray | None = None
    with evaluation_mode(network), arithmetic(network, precision):
        for planned in for_evaluation(examples.encoded.lengths, tokens):
            for rows, values in _halving(planned, lambda part: forward(batch(network, examples, part)).float().cpu().numpy()):
                if out is None:
                    out = np.empty((len(examples), values.shape[1]), dtype=np.float32)
                out[rows] = values
    return np.empty((0, network.labels.outputs), dtype=np.float32) if out is None else out


def _halving(rows: np.ndarray, compute: Callable[[np.ndarray], np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All rows with what is computed of them, in halves where they do not fit into memory together."""
    try:
        values = compute(rows)
    except RuntimeError as error:
        if not is_out_of_memory(error) or len(rows) == 1:
            raise
    else:
        yield rows, values
        return
    for part in np.array_split(rows, 2):
        yield from _halving(part, compute)
