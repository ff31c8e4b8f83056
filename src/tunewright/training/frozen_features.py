"""FrozenFeatures: what the layers that do not move make of each row, computed once per row and kept.

Kept without padding, row behind row. Where the next run has the same weights below the cut, the same rows and the same
arithmetic, it finds them in the store instead of computing them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor

from tunewright.core.files import bytes_of, hash_bytes
from tunewright.datasets.batching import for_evaluation
from tunewright.datasets.encoded import EncodedDataset, batch
from tunewright.models.network import Network, evaluation_mode
from tunewright.models.prefix import Prefix, capture
from tunewright.training.feature_cache import Draft, FeatureCache
from tunewright.training.predict import PASS_TOKENS, arithmetic, predict_features


@final
class FrozenFeatures:
    """Features of rows under a network's frozen layers, in one arithmetic."""

    def __init__(self, network: Network, precision: str, store: FeatureCache) -> None:
        self.network, self.precision, self.store = network, precision, store
        self._rows: dict[int, tuple[EncodedDataset, str]] = {}  # the examples are held, so that their id stays theirs

    def pooled(self, examples: EncodedDataset) -> Tensor:
        """What the last linear layer reads, (n, width) float32, while nothing below it moves."""
        head = self.network.stack.head.depth
        about = self._about("pooled", examples, self._below(head))
        found = self.store.find(about)
        if found is None:
            read = predict_features(self.network, examples, precision=self.precision)
            draft = self.store.draft(about, read.shape, torch.float32)
            draft.values.copy_(torch.from_numpy(read))
            found = self.store.keep(draft)
        return found

    def hidden(self, prefixes: Sequence[Prefix], examples: EncodedDataset) -> dict[str, Tensor]:
        """Hidden states of all tokens, (all tokens, width), by the module after which they were taken."""
        below = {prefix.depth: self._below(prefix.depth) for prefix in prefixes}
        depths = {name: prefix.depth for prefix in prefixes for name in prefix.tops}
        abouts = {name: self._about(name, examples, below[depth]) for name, depth in depths.items()}
        found = {name: values for name, about in abouts.items() if (values := self.store.find(about)) is not None}
        missing = [prefix for prefix in prefixes if any(name not in found for name in prefix.tops)]
        if missing:
            wanted = {name: about for name, about in abouts.items() if name not in found}
            found |= self._compute(missing, wanted, examples)
        return found

    def size(self, prefix: Prefix, examples: EncodedDataset) -> int:
        """Bytes that ``hidden`` keeps of a prefix."""
        return prefix.values * _count(examples) * self._dtype.itemsize

    def batch(self, hidden: dict[str, Tensor], prefix: Prefix, examples: EncodedDataset, rows: np.ndarray) -> dict[str, Tensor]:
        """The kept states of some rows, (batch, tokens, width), padded as their token ids are; or (batch, …) of one shape."""
        index = torch.from_numpy(_places(examples, rows)[0])
        device, computed = self.network.device, torch.float32
        return {name: hidden[name][index].to(device, computed, non_blocking=True) for name in prefix.tops}

    def _compute(self, prefixes: Sequence[Prefix], abouts: dict[str, Any], examples: EncodedDataset) -> dict[str, Tensor]:
        network, encoded = self.network, examples.encoded
        drafts: dict[str, Draft] = {}
        with _dropped_on_failure(drafts), evaluation_mode(network), arithmetic(network, self.precision):
            for rows in for_evaluation(encoded.lengths, PASS_TOKENS):
                seen = capture(network, prefixes, batch(examples, rows, network.reads, network.device))
                places, real = _places(examples, rows)
                index, mask = torch.from_numpy(places[real]), torch.from_numpy(real).to(network.device)
                for name, about in abouts.items():
                    values = seen[name][mask].to("cpu", self._dtype)
                    if name not in drafts:
                        drafts[name] = self.store.draft(about, (_count(examples), *values.shape[1:]), self._dtype)
                    drafts[name].values.index_copy_(0, index, values)
        return {name: self.store.keep(draft) for name, draft in drafts.items()}

    @property
    def _dtype(self) -> torch.dtype:
        """Half the room where the arithmetic is bfloat16: its layers round what they read to that anyway."""
        return torch.bfloat16 if self.precision == "bfloat16" else torch.float32

    def _about(self, what: str, examples: EncodedDataset, below: dict[str, Any]) -> dict[str, Any]:
        """Everything that decides the values: what lies below the cut, architecture, rows, arithmetic, versions."""
        import transformers

        network = self.network
        return {
            "what": what,
            **below,
            "config": hash_bytes([network.inner.config.to_json_string(use_diff=False).encode()]),
            "class": type(network.inner).__name__,
            "pooling": network.pooling,
            "rows": self._hash(examples),
            "precision": self.precision,
            "device": network.device.type,
            "versions": [torch.__version__, transformers.__version__],
        }

    def _below(self, depth: int) -> dict[str, Any]:
        """The weights below a depth; parts that a method added have settings no tensor tells, so they are this run's alone."""
        network = self.network
        held = {**dict(network.named_parameters()), **dict(network.named_buffers())}
        below = sorted(name for name in held if network.stack.depth_of(name) < depth)
        own = {name for group in network.stack.groups for name in (*group.parameters, *group.buffers)}
        return {
            "depth": depth,
            "weights": hash_bytes(part for name in below for part in (name.encode(), bytes_of(held[name]))),
            "run": "any" if own.issuperset(below) else uuid4().hex,
        }

    def _hash(self, examples: EncodedDataset) -> str:
        if id(examples) not in self._rows:
            parts = examples.encoded.arrays()
            self._rows[id(examples)] = examples, hash_bytes(bytes_of(torch.from_numpy(part)) for part in parts)
        return self._rows[id(examples)][1]


def _count(examples: EncodedDataset) -> int:
    """Places that states are kept for: one for each token, or for each row where all are alike."""
    return int(examples.encoded.lengths.sum()) if hasattr(examples.encoded, "places") else len(examples)


def _places(examples: EncodedDataset, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the states of some rows lie among all that are kept, and which are real: by token, or by row where all are alike."""
    if hasattr(examples.encoded, "places"):
        found: tuple[np.ndarray, np.ndarray] = examples.encoded.places(rows)
        return found
    return rows, np.ones(len(rows), dtype=bool)


@contextmanager
def _dropped_on_failure(drafts: dict[str, Draft]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for draft in drafts.values():
            draft.drop()
        raise
