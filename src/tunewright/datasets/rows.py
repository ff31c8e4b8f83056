"""Rows: the examples of one part, or a promise to read them again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tunewright.datasets.inputs import compared_input
from tunewright.datasets.table import listed


@dataclass(frozen=True)
class Rows:
    """Examples of one part: ``inputs`` as their kind has them, encoded ``targets``, and the rows' ``numbers`` in ``source``.

    ``digests`` are what rows are compared by, where that was made already.
    """

    inputs: list[tuple[Any, ...]]
    targets: np.ndarray
    numbers: np.ndarray
    source: str = ""
    unit: str = "row"
    kind: str = "text"
    digests: Sequence[tuple[str, ...]] | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    @cached_property
    def texts(self) -> list[tuple[str, ...]]:
        """What rows are compared by: their texts, or a digest of what they hold."""
        if self.kind == "text":
            return self.inputs
        return [compared_input(row, self.kind) for row in self.inputs] if self.digests is None else list(self.digests)

    def select(self, indices: np.ndarray) -> Rows:
        inputs, texts = [self.inputs[index] for index in indices], [self.texts[index] for index in indices]
        return Rows(inputs, self.targets[indices], self.numbers[indices], self.source, self.unit, self.kind, texts)

    def where(self, indices: Sequence[int]) -> str:
        """The source and the numbers of some rows, in words."""
        unit = self.unit if len(indices) == 1 else f"{self.unit}s"
        return f"{self.source}, {unit} {listed(int(self.numbers[index]) for index in indices)}"


@dataclass(frozen=True)
class StreamedRows:
    """Training rows whose texts stay in their file: each call of ``pieces`` reads them anew, some at a time, in their order."""

    pieces: Callable[[], Iterator[list[tuple[str, ...]]]]
    targets: np.ndarray
    source: str = ""

    def __len__(self) -> int:
        return len(self.targets)
