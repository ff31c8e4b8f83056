"""A smaller network out of a pre-trained one: some of its blocks, in their order, and all that lies around them.

Source: Sanh et al. 2019, DistilBERT, section 3 (every other block of the teacher starts the student); of both halves of an
encoder-decoder: Shleifer and Rush 2020, section 3. When: distillation into a network that predicts faster.
When not: blocks that share their weights (ALBERT), which take no room; stages of several widths.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from tunewright.core.errors import UserError
from tunewright.models.stack import block_lists

# What transformers calls the number of blocks, of an encoder or alone, and of a decoder beside an encoder.
_COUNTS = ("num_hidden_layers", "encoder_layers", "num_layers")
_DECODER_COUNTS = ("decoder_layers", "num_decoder_layers")


def keep_blocks(inner: Any, kept: Sequence[int]) -> None:
    """Leave only the blocks ``kept``, counted from 0, a decoder's on from its encoder's; the config then tells of as many."""
    lists = _lists(inner)
    total = sum(map(len, lists))
    if list(kept) != sorted(set(kept)) or not kept or kept[0] < 0 or kept[-1] >= total:
        raise UserError(
            f"model.blocks is {list(kept)}", expected=f"some of 0 to {total - 1}, ascending, each once", try_="[0, 2, 4]"
        )
    start = 0
    chosen = []
    for blocks in lists:
        chosen.append([index - start for index in kept if start <= index < start + len(blocks)])
        _check(blocks, chosen[-1], start)
        start += len(blocks)
    if getattr(inner.config, "layer_types", None):
        inner.config.layer_types = [inner.config.layer_types[index] for index in kept]
    for number, (blocks, some) in enumerate(zip(lists, chosen, strict=True)):
        left = [blocks[index] for index in some]
        del blocks[:]
        blocks.extend(left)
        for place, block in enumerate(left):
            _renumber(block, place)
        _tell(inner, blocks, len(left), _DECODER_COUNTS if number else _COUNTS)


def _lists(inner: Any) -> list[Any]:
    """The blocks; of an encoder-decoder, the encoder's and the decoder's."""
    config, found = inner.config, list(block_lists(inner).values())
    halves = getattr(config, "is_encoder_decoder", False) and len(found) > 1
    wanted = [_count(config, _COUNTS), _count(config, _DECODER_COUNTS)] if halves else [_count(config, _COUNTS)]
    lists = [modules for modules in found if len(modules) in wanted]
    # Stages narrow the picture for one another; YOLOS' places in the middle are one weight of all blocks.
    whole = isinstance(getattr(config, "depths", None), (list, tuple)) or getattr(config, "use_mid_position_embeddings", False)
    if whole or [len(modules) for modules in lists] != wanted:
        raise UserError(
            f"of the blocks of {type(inner).__name__} none can be left out",
            expected="one stack of blocks of one width, or an encoder's and a decoder's",
            try_="leave model.blocks out",
        )
    return lists


def _count(config: Any, names: Sequence[str]) -> int | None:
    return next((count for name in names if isinstance(count := getattr(config, name, None), int)), None)


def _check(blocks: Any, some: Sequence[int], start: int) -> None:
    """A list keeps a block, and its first one where that alone has something for the others (T5's positions)."""
    if not some:
        raise UserError(
            f"model.blocks keeps none of {start} to {start + len(blocks) - 1}",
            expected="blocks of the encoder and of the decoder",
        )
    first, second = ({name for name, _ in block.named_parameters()} for block in (blocks[0], blocks[min(1, len(blocks) - 1)]))
    if some[0] and first - second:
        raise UserError(
            f"block {start} has what all blocks after it read: {sorted(first - second)[0]}", expected="it among those kept"
        )


def _tell(inner: Any, blocks: Any, count: int, names: Sequence[str]) -> None:
    """The number of blocks in the config, and in the one of the module that holds them where it has its own."""
    config = inner.config
    _set_count(config, names, count)
    if getattr(config, "stage_names", None):  # images: each block is a stage whose output may be asked for, by default the last
        config.stage_names = config.stage_names[: count + 1]
        config.set_output_features_output_indices(out_features=None, out_indices=None)
    for module in inner.modules():
        own = getattr(module, "config", None)
        if own is not None and own is not config and any(child is blocks for child in module.children()):
            _set_count(own, _COUNTS, count)


def _set_count(config: Any, names: Sequence[str], count: int) -> None:
    for name in [name for name in names if isinstance(getattr(config, name, None), int)][:1]:
        setattr(config, name, count)


def _renumber(block: nn.Module, number: int) -> None:
    """Decoders keep keys and values by the number of their block."""
    for module in block.modules():
        if hasattr(module, "layer_idx"):
            module.layer_idx = number  # type: ignore[assignment]
