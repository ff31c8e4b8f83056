"""Forward: logits of rows, through the whole network, or from stored features while nothing but the last layer moves.

While only our own last linear layer trains, all below it is a constant in evaluation mode: the features of each row are
computed once and every later pass is one small matrix product. transformers' own heads have dropout before their last
layer, so they always take the whole way.
"""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from torch import Tensor

from tunewright.engine.examples import Examples, batch
from tunewright.engine.predict import arithmetic, predict_features, predict_logits
from tunewright.models.network import Network


@final
class Forward:
    """Computes logits for the loop; told by it where the cut between frozen and moving layers is."""

    def __init__(self, network: Network, precision: str) -> None:
        self.network = network
        self.precision = precision
        self.passes = 0  # rows sent through the whole network in training, for tests and the report
        self._features: dict[int, Tensor] = {}
        self._stored = False

    def cut_at(self, depth: int) -> None:
        """Layers below ``depth`` are frozen from now on."""
        self._stored = depth == self.network.stack.head.depth and self.network.classifier is not None
        if not self._stored:
            self._features.clear()

    def __call__(self, examples: Examples, rows: np.ndarray) -> Tensor:
        """Logits (batch, outputs) in float32, with gradients."""
        classifier = self.network.classifier
        if self._stored and classifier is not None:
            logits: Tensor = classifier(self._of(examples)[torch.from_numpy(rows)])
            return logits
        self.passes += len(rows)
        with arithmetic(self.network, self.precision):
            whole: Tensor = self.network(batch(self.network, examples, rows)).float()
        return whole

    def all_rows(self, examples: Examples) -> np.ndarray:
        """Logits of all rows (n, outputs), in evaluation mode and without gradients."""
        classifier = self.network.classifier
        if not self._stored or classifier is None:
            return predict_logits(self.network, examples, precision=self.precision)
        with torch.no_grad():
            values: np.ndarray = classifier(self._of(examples)).cpu().numpy()
        return values

    def _of(self, examples: Examples) -> Tensor:
        if id(examples) not in self._features:
            read = predict_features(self.network, examples, precision=self.precision)
            self._features[id(examples)] = torch.from_numpy(read).to(self.network.device)
        return self._features[id(examples)]
