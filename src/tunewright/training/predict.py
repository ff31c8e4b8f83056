"""The network's answers to many examples: sorted by length, without gradients, told in passes of a bounded size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunewright.datasets.batching import for_evaluation
from tunewright.datasets.encoded import EncodedDataset, batch, targets_of
from tunewright.datasets.ragged import IGNORED, Ragged
from tunewright.models.network import Network, evaluation_mode
from tunewright.models.states import block_states
from tunewright.models.vocabulary import Vocabulary
from tunewright.training.microbatches import is_out_of_memory

# Tokens per forward pass when nothing is kept for gradients; more were not faster where it was measured.
PASS_TOKENS = 8192


def passes(
    network: Network, examples: EncodedDataset, *, precision: str = "float32", tokens: int = PASS_TOKENS
) -> Iterator[tuple[np.ndarray, Any]]:
    """Some examples' numbers and the network's output for them, until all were seen."""
    return _over_examples(network, examples, network, precision, tokens)


def predict_logits(network: Network, examples: EncodedDataset, *, precision: str = "float32", tokens: int = PASS_TOKENS) -> Any:
    """All outputs in float32, in the order of the examples: (n, outputs), or a list where each has its own shape."""
    found: list[np.ndarray] = [np.empty(0)] * len(examples)
    for rows, output in passes(network, examples, precision=precision, tokens=tokens):
        for index, values in zip(rows, _each(output, examples, rows), strict=True):
            found[index] = values
    if not found:
        return np.empty((0, network.labels.outputs), dtype=np.float32)
    return np.stack(found) if len({values.shape for values in found}) == 1 else found


def predict_features(
    network: Network, examples: EncodedDataset, *, precision: str = "float32", tokens: int = PASS_TOKENS
) -> np.ndarray:
    """What the last linear layer reads, (n, width) float32; of tokens, each of those that have a target, (labeled, width)."""
    found: list[np.ndarray] = [np.empty(0)] * len(examples)
    for rows, read in _over_examples(network, examples, network.features, precision, tokens):
        values = read.float().cpu()
        if isinstance(examples.targets, Ragged):
            labeled = targets_of(examples, rows, torch.device("cpu")) != IGNORED
            parts = [row[mask].numpy() for row, mask in zip(values, labeled, strict=True)]
        else:
            parts = list(values.reshape(len(rows), 1, -1).numpy())  # of a pair of texts, both vectors
        for index, part in zip(rows, parts, strict=True):
            found[index] = part
    return np.concatenate(found)


def predict_states(network: Network, examples: EncodedDataset, *, precision: str = "float32") -> dict[str, np.ndarray]:
    """What each block makes of every example, averaged over its tokens, (n, width) float32, by the block's name."""
    found: dict[str, np.ndarray] = {}
    for rows, states in _over_examples(network, examples, partial(block_states, network), precision, PASS_TOKENS):
        for name, values in states.items():
            parts = values.float().cpu().numpy()
            made = parts.reshape(-1, len(rows), parts.shape[1]).mean(0)  # a pair of answers: all first texts, then all second
            found.setdefault(name, np.empty((len(examples), made.shape[1]), dtype=np.float32))[rows] = made
    return found


def arithmetic(network: Network, precision: str) -> torch.autocast:
    """The forward pass's arithmetic: bfloat16 where wanted, float32 otherwise."""
    return torch.autocast(network.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def _over_examples(
    network: Network, examples: EncodedDataset, forward: Callable[[dict[str, Tensor]], Any], precision: str, tokens: int
) -> Iterator[tuple[np.ndarray, Any]]:
    reads, device = network.reads, network.device
    for planned in for_evaluation(examples.encoded.lengths, tokens):
        with evaluation_mode(network), arithmetic(network, precision):
            found = list(_halving(planned, lambda part: forward(batch(examples, part, reads, device))))
        yield from found


def _each(output: Any, examples: EncodedDataset, rows: np.ndarray) -> list[np.ndarray]:
    """One array for each example: what padding got is left out; of a vocabulary, the logits after the last token."""
    if isinstance(output, Vocabulary):
        lengths = np.minimum(examples.encoded.lengths[rows], output.hidden.shape[1])  # a decoder has its own, of one width here
        output = output.logits(output.hidden[torch.arange(len(rows)), torch.from_numpy(lengths - 1).to(output.hidden.device)])
    if isinstance(output, dict):
        return [np.concatenate([part[place].flatten().cpu().numpy() for part in output.values()]) for place in range(len(rows))]
    values = output.float().cpu().numpy()
    if values.ndim != 3 or values.shape[1] != examples.encoded.lengths[rows].max():
        return list(values.reshape(len(rows), -1) if values.ndim > 2 or len(values) != len(rows) else values)
    lengths, left = examples.encoded.lengths[rows], getattr(examples.encoded, "side", "right") == "left"
    width = values.shape[1]
    return [row[width - length :] if left else row[:length] for row, length in zip(values, lengths, strict=True)]


def _halving(rows: np.ndarray, compute: Callable[[np.ndarray], Any]) -> Iterator[tuple[np.ndarray, Any]]:
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
