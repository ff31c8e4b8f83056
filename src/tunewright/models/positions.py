"""How many tokens a network has positions for, read off its own table of positions; no family is named.

Source: Liu et al. 2019, RoBERTa: its code counts positions from the padding id on, so that a table of 514 rows and padding id 1
has places for 512 tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

# What configurations call the rows of the table; a number below 1 is none (XLNet says -1).
_DECLARED = "max_position_embeddings"
_READ, _WRITTEN = "max_encoder_position_embeddings", "max_decoder_position_embeddings"  # where the two differ (LED)


def token_places(inner: Any, *, written: bool = False) -> int | None:
    """Tokens that the network has positions for, of a text that it reads or of one that it writes; None for any number."""
    config = getattr(inner.config, "text_config", inner.config)
    sizes = (getattr(config, name, None) for name in (_WRITTEN if written else _READ, _DECLARED))
    rows = next((size for size in sizes if isinstance(size, int) and size > 0), None)
    return None if rows is None else rows - max(_firsts(inner, rows), default=0)


def _firsts(inner: nn.Module, rows: int) -> Iterator[int]:
    """The row of the first token in each table of positions that keeps a row for padding: the one after that."""
    for name, module in inner.named_modules():
        padding, weight = getattr(module, "padding_idx", None), getattr(module, "weight", None)
        if "position" in name.rpartition(".")[2] and padding is not None and isinstance(weight, Tensor) and len(weight) == rows:
            yield int(padding) + 1
