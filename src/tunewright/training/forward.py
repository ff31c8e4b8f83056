"""Forward: logits of rows, computed from as far up as nothing below moves.

In each stage of a run the layers below the lowest moving one are a constant of each row. Where only our own last linear
layer moves, each row's pooled features are computed once and a pass is one small matrix product. Where more moves, the
hidden states below the cut are computed once and the pass starts there, if rows are read often enough to pay for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from tunewright.config.augmentation import Mixing
from tunewright.datasets.batching import for_evaluation
from tunewright.datasets.encoded import EncodedDataset, batch
from tunewright.modalities.image.augment import mix
from tunewright.models.network import Network, evaluation_mode
from tunewright.models.prefix import Prefix, capture, find_prefix, replayed
from tunewright.models.vocabulary import Vocabulary
from tunewright.training.feature_cache import FeatureCache
from tunewright.training.frozen_features import FrozenFeatures
from tunewright.training.predict import PASS_TOKENS, arithmetic, passes

# A pass that keeps must be this much cheaper than the passes it saves; a guess that covers writing and reading.
_WORTH = 1.5
# Largest difference of logits, relative to the largest, between a whole and a replayed pass; bfloat16 rounds at 2^-8.
_TOLERANCE = {"float32": 1e-4, "bfloat16": 0.1}


@final
class Forward:
    """Computes logits for the loop; told by it where the cut between frozen and moving layers is."""

    def __init__(self, network: Network, precision: str, store: FeatureCache | None = None) -> None:
        self.network = network
        self.precision = precision
        self.features = None if store is None else FrozenFeatures(network, precision, store)
        self.passes = 0  # rows sent through the whole network in training, for tests and the report
        self.replays = 0  # rows that started above the cut
        self._prefixes: dict[int, Prefix] = {}
        self._depth = 0
        # by id of the examples, which live as long as the job
        self._pooled: dict[int, Tensor] = {}
        self._hidden: dict[int, dict[str, Tensor]] = {}

    def plan(self, reads: Mapping[int, float], train: EncodedDataset, validation: EncodedDataset) -> None:
        """Choose the depths whose states are worth keeping; ``reads`` tells how often each row will be read at each depth."""
        if self.features is None or not (_can_be_kept(train) and _can_be_kept(validation)):
            return
        found = self._replayable([depth for depth, times in reads.items() if times > 0 and not self._is_pooled(depth)], train)
        room, chosen = self.features.store.room, {}
        for depth in sorted(found, key=lambda one: -reads[one] * found[one].saved):
            size = self.features.size(found[depth], train) + self.features.size(found[depth], validation)
            if size <= room:
                chosen[depth], room = found[depth], room - size
        spared = sum(reads[depth] * prefix.saved for depth, prefix in chosen.items())
        if spared >= _WORTH * max((prefix.saved for prefix in chosen.values()), default=1):
            self._prefixes = chosen

    def cut_at(self, depth: int) -> None:
        """Layers below ``depth`` are frozen from now on."""
        self._depth = depth

    def starts_above(self, depth: int) -> bool:
        """Whether passes start above a cut at this depth."""
        return self._is_pooled(depth) or depth in self._prefixes

    def __call__(
        self, examples: EncodedDataset, rows: np.ndarray, *, training: bool = True, inputs: dict[str, Tensor] | None = None
    ) -> Any:
        """The network's output for some examples, in float32, with gradients; ``inputs`` is their batch where it is there."""
        if self._is_pooled(self._depth, examples):
            read = self._features_of(examples)[torch.from_numpy(rows)].to(self.network.device)
            return self.network.last_linear(read)
        with arithmetic(self.network, self.precision), lone_values_allowed(self.network, len(rows)):
            output = self._through(examples, rows, training, inputs)
        return output.float() if hasattr(output, "float") else output

    def mixed(self, examples: EncodedDataset, rows: np.ndarray, targets: Tensor, mixing: Mixing) -> tuple[Tensor, Tensor]:
        """Output for images that were mixed in pairs, and their targets (batch, classes), mixed alike."""
        inputs = batch(examples, rows, self.network.reads, self.network.device, training=True)
        inputs["pixel_values"], targets = mix(inputs["pixel_values"], targets, mixing)
        self.passes += len(rows)
        with arithmetic(self.network, self.precision), lone_values_allowed(self.network, len(rows)):
            return self.network(inputs).float(), targets

    def evaluated(self, examples: EncodedDataset) -> Iterator[tuple[np.ndarray, Any]]:
        """Numbers of some examples and the output for them, until all were seen; in evaluation mode and without gradients."""
        if not self.starts_above(self._depth):
            yield from passes(self.network, examples, precision=self.precision)
            return
        for rows in for_evaluation(examples.encoded.lengths, PASS_TOKENS):
            with evaluation_mode(self.network):
                output = self(examples, rows, training=False)
            yield rows, output

    def _is_pooled(self, depth: int, examples: EncodedDataset | None = None) -> bool:
        """Whether nothing but our own last layer moves: transformers' own heads have dropout before theirs."""
        if self.features is None or self.network.classifier is None or depth != self.network.stack.head.depth:
            return False
        return examples is None or not examples.encoded.varies

    def _features_of(self, examples: EncodedDataset) -> Tensor:
        if id(examples) not in self._pooled:
            assert self.features is not None
            self._pooled[id(examples)] = self.features.pooled(examples)
        return self._pooled[id(examples)]

    def _replayable(self, depths: list[int], examples: EncodedDataset) -> dict[int, Prefix]:
        """The prefixes of some depths that give the same logits when they are replayed, tried on a few rows."""
        lowest = min(group.depth for group in self.network.stack.blocks)
        depths = [depth for depth in depths if depth > lowest]
        if not depths:
            return {}
        order = np.argsort(examples.encoded.lengths, kind="stable")
        rows = order[np.linspace(0, len(order) - 1, 4).astype(int)]
        found = {}
        with evaluation_mode(self.network), arithmetic(self.network, self.precision):
            inputs = batch(examples, rows, self.network.reads, self.network.device)
            whole = compared(self.network(inputs))
            for depth in depths:
                prefix = find_prefix(self.network, depth, inputs)
                if prefix is None:
                    continue
                kept = {name: values.float() for name, values in capture(self.network, [prefix], inputs).items()}
                try:
                    with replayed(self.network, prefix, kept):
                        again = compared(self.network(inputs))
                except (RuntimeError, ValueError, TypeError, AttributeError):
                    continue  # something above the cut reads more of the blocks than what the last ones hand on
                if float((again - whole).abs().max()) <= _TOLERANCE[self.precision] * max(1.0, float(whole.abs().max())):
                    found[depth] = prefix
        return found

    def _through(
        self, examples: EncodedDataset, rows: np.ndarray, training: bool, inputs: dict[str, Tensor] | None = None
    ) -> Any:
        reads = self.network.reads
        if inputs is None:
            inputs = batch(examples, rows, reads, self.network.device, training=training)
        else:
            inputs = {name: value for name, value in inputs.items() if name in reads}
        prefix = self._prefixes.get(self._depth)
        if prefix is None or self.features is None:
            self.passes += len(rows)
            return self.network(inputs)
        self.replays += len(rows)
        kept = self.features.batch(self._states(examples), prefix, examples, rows)
        with replayed(self.network, prefix, kept):
            return self.network(inputs)

    def _states(self, examples: EncodedDataset) -> dict[str, Tensor]:
        """The kept states of all rows, at this depth and in the same pass at the depths still to come."""
        if id(examples) not in self._hidden:
            assert self.features is not None
            coming = [prefix for depth, prefix in self._prefixes.items() if depth <= self._depth]
            self._hidden[id(examples)] = self.features.hidden(coming, examples)
        return self._hidden[id(examples)]


@contextmanager
def lone_values_allowed(network: Network, rows: int) -> Iterator[None]:
    """A batch norm that finds one value of each channel, in a pass of one row, takes its running mean and variance for it.

    torch refuses it: a lone value has no spread. The last batch of an epoch may be one row.
    """
    norms = [one for one in network.modules() if isinstance(one, _BatchNorm) and one.training] if rows == 1 else []

    def still(norm: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if inputs[0].numel() == inputs[0].shape[1]:
            norm.training = False

    hooks = [norm.register_forward_pre_hook(still) for norm in norms]
    try:
        yield
    finally:
        for norm, hook in zip(norms, hooks, strict=True):
            hook.remove()
            norm.training = True


def compared(output: Any) -> Tensor:
    """A tensor by which two outputs are compared, in float32."""
    if isinstance(output, dict):
        return torch.cat([part.float().flatten(1) for part in output.values()], 1)
    found: Tensor = output.hidden if isinstance(output, Vocabulary) else output
    return found.float()


def _can_be_kept(examples: EncodedDataset) -> bool:
    """Whether states under the frozen layers are the same in every epoch, and lie by token or have one shape."""
    encoded = examples.encoded
    return not encoded.varies and (hasattr(encoded, "places") or len(set(encoded.lengths.tolist())) <= 1)
