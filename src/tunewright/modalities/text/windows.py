"""Long rows in overlapping windows of token ids, each token with a mark that says what it is of its row.

When: the answer is told token by token, and rows may be longer than the model reads (words, questions). When not: one answer
for a whole text, which is cut (encoders/text.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

import numpy as np

from tunewright.modalities.text import modality as text

if TYPE_CHECKING:
    from torch import Tensor

About = TypeVar("About")


@dataclass(frozen=True)
class Encoded(Generic[About]):
    """Windows over n rows. ``rows``: the row that each window is of; ``about``: what is known of the n rows themselves.

    ``marks``: of each token its place in the row, in words or characters, -1 where it has none.
    """

    flat: text.Encoded
    marks: np.ndarray  # (all tokens, …) int32
    rows: np.ndarray  # (windows,) int64
    about: About
    truncated: int = 0
    varies: ClassVar[bool] = False

    def __len__(self) -> int:
        return len(self.flat)

    @property
    def lengths(self) -> np.ndarray:
        return self.flat.lengths

    @property
    def side(self) -> str:
        return self.flat.side

    def marked(self, window: int) -> np.ndarray:
        """The marks of a window's tokens, (tokens, …)."""
        start = self.flat.starts[window]
        return self.marks[start : start + self.flat.lengths[window]]

    def subset(self, rows: np.ndarray) -> Encoded[About]:
        """Some windows, in the order given."""
        marks = np.concatenate([self.marked(window) for window in rows] or [self.marks[:0]])
        return replace(self, flat=self.flat.subset(rows), marks=marks, rows=self.rows[rows])

    def places(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For a padded batch: where each token stands among all, and which are real; both (batch, tokens)."""
        return self.flat.places(rows)

    def collate(self, rows: np.ndarray, *, training: bool = False) -> dict[str, Tensor]:
        """Padded input_ids, attention_mask and, where the model has them, token_type_ids; (batch, tokens) int64."""
        return self.flat.collate(rows)

    def arrays(self) -> Iterable[np.ndarray]:
        """All that tells these windows from others."""
        return self.flat.arrays()
