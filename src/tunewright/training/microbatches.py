"""MicroBatches: how many rows go through the network at once, without changing what a step learns."""

from __future__ import annotations

from typing import final

import numpy as np

from tunewright.core.errors import UserError
from tunewright.datasets.batching import within_budget


@final
class MicroBatches:
    """Cuts a batch into passes of at most ``tokens`` padded tokens, and of fewer rows once memory has run out."""

    def __init__(self, lengths: np.ndarray, tokens: int) -> None:
        self.lengths = lengths
        self.tokens = tokens
        self.most_rows: int | None = None

    def cut(self, rows: np.ndarray) -> list[np.ndarray]:
        """The passes of one batch, every row once."""
        return within_budget(rows, self.lengths, self.tokens, self.most_rows)

    def halve(self, rows: int) -> None:
        """``rows`` at once were too many."""
        if rows == 1:
            raise UserError(
                "one row alone does not fit into memory",
                try_="a smaller data.max_length, a method that trains less (lora), or a smaller model",
            )
        self.most_rows = rows // 2


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch had no memory left; the processor's allocator has no class of its own for it."""
    return type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error)
