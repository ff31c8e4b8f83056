"""Whether a model's configuration asks for no more than its weights hold: told from headers, before memory is taken.

The network is built without values (PyTorch's meta device), which costs time but no memory, and counted. What the folder does
not hold, such as a new head or a table of positions, may be some hundred megabytes; a width, a vocabulary or a depth that the
weights do not have is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tunewright.core.errors import UserError
from tunewright.core.tensor_header import Declared

_SPARE = 1 << 27  # values that no file holds: a head of 100,000 classes on a wide model (a guess); 512 MiB
_MANY = 1024  # parts of one kind that cost nothing to build, whatever the weights hold
_COUNTS = re.compile(
    r".*(layer|depth|block|expert|stage|group|head|codebook|quantizer|branch|stack)s?(_.*|s)?|n_.*|num_.*|depths"
)
_LARGEST = 1 << 31  # of any whole number in a configuration; sizes beyond it do not exist


def refuse_counts(config: Mapping[str, Any], path: Path, tensors: int) -> None:
    """Raise UserError where a configuration has more layers, experts … than the weights have tensors, or impossible numbers."""
    most = max(_MANY, tensors)
    for key, value in _integers(config):
        if abs(value) >= _LARGEST and not key.endswith(("_token_id", "_tokens", "max_length")):
            raise UserError(f"{path} says {key} {value}", expected="a size that a model can have")
        if value > most and _COUNTS.fullmatch(key) and not key.endswith(("_id", "_size", "_dim", "_embeddings", "_positions")):
            raise UserError(f"{path} says {key} {value:,}", expected=f"at most {most:,}, as the weights have {tensors:,} tensors")


def refuse_size(build: Callable[[], nn.Module], declared: Mapping[str, Declared], folder: Path) -> None:
    """Raise UserError where the network that ``build`` makes has far more values than its folder holds."""
    with without_values():
        network = build()
    wanted = sum(value.numel() for value in (*network.parameters(), *network.buffers()))
    held = sum(one.count for one in declared.values())
    if wanted > 2 * held + _SPARE:  # packed kinds of numbers hold two values in one place
        raise UserError(
            f"the config.json of '{folder}' describes {wanted:,} values, and its weights hold {held:,}",
            expected="weights and config of one model",
        )


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
