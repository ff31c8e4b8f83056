"""A smaller network out of a pre-trained one: some of its blocks, in their order, and all that lies around them.

Source: Sanh et al. 2019, DistilBERT, section 3 (every other block of the teacher starts the student).
When: distillation into a network that predicts faster. When not: blocks that share their weights (ALBERT), which take no room.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from tunewright.core.errors import UserError
from tunewright.models.stack import block_lists


def keep_blocks(inner: Any, kept: Sequence[int]) -> None:
    """Leave only the blocks ``kept``, counted from 0; the config then tells of as many."""
    config = inner.config
    lists = [modules for modules in block_lists(inner).values() if len(modules) == config.num_hidden_layers]
    if len(lists) != 1:
        raise UserError(
            f"the blocks of {type(inner).__name__} are {len(lists)} lists of {config.num_hidden_layers}",
            expected="one stack of blocks, as encoders and decoders have",
            try_="leave model.blocks out",
        )
    blocks = lists[0]
    if not kept or list(kept) != sorted(set(kept)) or kept[0] < 0 or kept[-1] >= len(blocks):
        raise UserError(
            f"model.blocks is {list(kept)}", expected=f"some of 0 to {len(blocks) - 1}, ascending, each once", try_="[0, 2, 4]"
        )
    left = [blocks[index] for index in kept]
    del blocks[:]
    blocks.extend(left)
    config.num_hidden_layers = len(left)
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[index] for index in kept]
    for number, block in enumerate(left):
        _renumber(block, number)


def _renumber(block: nn.Module, number: int) -> None:
    """Decoders keep keys and values by the number of their block."""
    for module in block.modules():
        if hasattr(module, "layer_idx"):
            module.layer_idx = number  # type: ignore[assignment]
