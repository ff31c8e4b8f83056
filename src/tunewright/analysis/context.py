"""The tuned model with its rows, as a report asks it: whatever needs the engine comes as a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tunewright.core.types import Labels, Predictions
from tunewright.datasets.encoded import EncodedDataset
from tunewright.datasets.rows import Rows
from tunewright.datasets.schema import Schema
from tunewright.models.network import Network

Inputs = Sequence[tuple[Any, ...]]


@dataclass(frozen=True)
class AnalysisContext:
    """A model and its rows under examination. Every function keeps what it computed for the same part.

    ``rows``: 'train', 'validation' and 'test'; train may be missing where it is streamed.
    ``answers(part)``: predictions of a part's rows. ``predict(inputs, tests)``: of any rows, decided by group where they are
    made of test rows at the places ``tests`` (None where they are not).
    ``encode(inputs)``: rows as the network reads them.
    ``logits(inputs)``: the network's outputs, (n, outputs), of tasks with one answer for each row.
    ``features(inputs, before)``: what the last linear layer reads, (n, width), of the tuned network or the one before tuning.
    ``states(rows, before)``: what each block makes of rows, averaged over tokens, block name -> (n, width).
    ``likelihoods(texts, before)``: a language model's nats, tokens and bytes of each text, (n, 3).
    ``network(before)``: the network itself, in evaluation mode.
    ``column(part, name)``: the cells of any column of the file, in the order of the part's rows.
    """

    head: ModuleType
    labels: Labels
    schema: Schema
    rows: Mapping[str, Rows]
    answers: Callable[[str], Predictions]
    predict: Callable[[Inputs, np.ndarray | None], Predictions]
    encode: Callable[[Inputs], EncodedDataset]
    logits: Callable[[Inputs], np.ndarray]
    features: Callable[[Inputs, bool], np.ndarray]
    states: Callable[[Rows, bool], dict[str, np.ndarray]]
    likelihoods: Callable[[Sequence[str], bool], np.ndarray]
    network: Callable[[bool], Network]
    column: Callable[[str, str], list[Any]]
    folder: Path
    seed: int = 0
    confidence: float = 0.95
    resamples: int = 1000

    @property
    def task(self) -> str:
        return self.labels.task

    def sample(self, part: str, most: int) -> np.ndarray:
        """At most this many of a part's rows, drawn with the run's seed, in their order."""
        return drawn(len(self.rows[part]), most, self.seed)


def drawn(many: int, most: int, seed: int) -> np.ndarray:
    """At most so many of the places 0 to ``many``, ascending, drawn with the seed where there are more."""
    return np.arange(many) if many <= most else np.sort(np.random.default_rng(seed).choice(many, most, replace=False))
