"""Whether a model's configuration asks for no more than its weights hold: told from headers, before memory is taken.

The network is built without values (PyTorch's meta device), which costs time but no memory, and counted. What the folder does
not hold, such as a new head or a table of positions, may be some hundred megabytes; a width, a vocabulary or a depth that the
weights do not have is refused here. What costs memory or time before a network is built, the number of layers and other parts
and of labels, is compared with the weights by name; any other number is a size, which only the whole network can judge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook

from tunewright.core.errors import UserError
from tunewright.core.memory import memory_at_hand
from tunewright.core.tensor_header import Declared

_SPARE = 1 << 27  # values that no file holds: a head of 100,000 classes on a wide model (a guess); 512 MiB
_MANY = 1024  # parts of one kind that cost nothing to build, whatever the weights hold
_MODULES = 16  # of the network for each tensor of the weights; published ones have two or three
_PARTS = re.compile(r"(.*_)?(layer|depth|block|expert|stage|group|head|codebook|quantizer|branche?|stack)s?")
_TOGETHER = re.compile(r".*experts|num_labels")  # of which one tensor may hold many
_LARGEST = 1 << 31  # of any whole number in a configuration; sizes beyond it do not exist


def refuse_counts(config: Mapping[str, Any], path: Path, declared: Mapping[str, Declared]) -> None:
    """Raise UserError where a configuration has more layers, experts … or labels than the weights, or impossible numbers."""
    tensors = max(_MANY, len(declared))
    widest = max((max(one.shape, default=1) for one in declared.values() if one.count), default=1)
    for key, value in _integers(config):
        if abs(value) >= _LARGEST and not key.endswith(("_token_id", "_tokens", "max_length")):
            raise UserError(f"{path} says {key} {value}", expected="a size that a model can have")
        together = _TOGETHER.fullmatch(key) is not None
        most = max(tensors, widest) if together else tensors
        if value > most and (together or _PARTS.fullmatch(key.partition("_per_")[0])):
            held = f"the weights have {len(declared):,} tensors" + (f", the widest of {widest:,}" if together else "")
            raise UserError(f"{path} says {key} {value:,}", expected=f"at most {most:,}, as {held}")


def refuse_size(build: Callable[[], nn.Module], declared: Mapping[str, Declared], folder: Path, *, bits: int = 32) -> None:
    """Raise UserError where the network that ``build`` makes has far more values than its folder or the memory at hand holds.

    ``bits`` are those of a value once it is loaded.
    """
    with without_values(), _at_most(_MODULES * max(_MANY, len(declared)), folder, len(declared)):
        network = build()
    wanted = sum(value.numel() for value in (*network.parameters(), *network.buffers()))
    held = sum(one.count for one in declared.values())
    if wanted > 2 * held + _SPARE:  # packed kinds of numbers hold two values in one place
        raise UserError(
            f"the config.json of '{folder}' describes {wanted:,} values, and its weights hold {held:,}",
            expected="weights and config of one model",
        )
    free = memory_at_hand()
    if free is not None and wanted * bits // 8 > free:
        raise UserError(
            f"the model in '{folder}' has {wanted:,} values, {wanted * bits / 8 / 2**30:.1f} GiB with {bits} bits each, "
            f"and {free / 2**30:.1f} GiB of memory are at hand",
            expected="a model that fits into memory",
            try_="a smaller model, or --set model.quantize=4bit",
        )


@contextmanager
def _at_most(modules: int, folder: Path, tensors: int) -> Iterator[None]:
    """Building stops at so many modules: nested lists of layers would take time and memory before they are counted."""
    made = 0

    def count(_: nn.Module, __: str, ___: nn.Module | None) -> None:
        nonlocal made
        made += 1
        if made > modules:
            raise UserError(
                f"the config.json of '{folder}' describes more than {modules:,} parts, and its weights have {tensors:,} tensors",
                expected="weights and config of one model",
            )

    handle = register_module_module_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def without_values() -> Iterator[None]:
    """Networks are built as transformers itself begins: without memory, but rates of dropped paths are made of real numbers."""
    from transformers import initialization

    real_numbers = getattr(initialization, "meta_device_safe_creation_ops", nullcontext)
    with initialization.no_init_weights(), torch.device("meta"), real_numbers():
        yield


def _integers(config: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _integers(value)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, int) and not isinstance(one, bool):
                yield str(key), one
            elif isinstance(one, Mapping):
                yield from _integers(one)
