"""Ragged: one array of values for each example, as many as it has tokens; behind one another, as token ids lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

IGNORED = -100  # a place without a target, as torch's cross-entropy has it


@dataclass(frozen=True)
class Ragged:
    """n rows of values behind one another, each ``lengths[row]`` long."""

    values: np.ndarray  # (all values,)
    lengths: np.ndarray  # (n,) int64

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def starts(self) -> np.ndarray:
        found: np.ndarray = np.cumsum(self.lengths) - self.lengths
        return found

    def row(self, index: int) -> np.ndarray:
        """The values of one row."""
        start = self.starts[index]
        return self.values[start : start + self.lengths[index]]

    def __getitem__(self, rows: np.ndarray) -> Ragged:
        """Some rows, in the order given."""
        return ragged([self.row(index) for index in rows], self.values.dtype)

    def padded(self, rows: np.ndarray, side: str = "right", fill: int = IGNORED) -> np.ndarray:
        """The values of some rows, (batch, longest), filled up on one side."""
        lengths = self.lengths[rows]
        out = np.full((len(rows), int(lengths.max(initial=0))), fill, dtype=self.values.dtype)
        for place, (index, length) in enumerate(zip(rows, lengths, strict=True)):
            out[place, out.shape[1] - length if side == "left" else 0 :][:length] = self.row(index)
        return out


def ragged(rows: Sequence[np.ndarray], dtype: np.typing.DTypeLike = np.int64) -> Ragged:
    """Rows of any lengths put behind one another."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    values = np.concatenate([np.asarray(row, dtype=dtype) for row in rows]) if len(rows) else np.empty(0, dtype=dtype)
    return Ragged(values, lengths)
