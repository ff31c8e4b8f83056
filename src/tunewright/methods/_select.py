"""Choosing layers of a network: by name pattern, by block number, by the part they play inside a block."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from fnmatch import fnmatchcase
from typing import TypeVar

from torch import nn

from tunewright.core.errors import UserError
from tunewright.models.linear import is_linear, linear_names, linear_shape
from tunewright.models.network import Network
from tunewright.models.stack import LayerGroup, block_lists

Value = TypeVar("Value")

_ATTENTION = re.compile(r"att(n|ention)", re.IGNORECASE)
_KEY_OR_VALUE = re.compile(r"(k|key|v|value)(_proj|_lin|_layer)?", re.IGNORECASE)


def matches(name: str, pattern: str) -> bool:
    """Whether a pattern means this dotted name: the name, its last parts, or either with ``*`` and ``?``."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"*.{pattern}")


def select(names: Sequence[str], patterns: str | Iterable[str], kind: str = "target") -> tuple[str, ...]:
    """Names that one pattern or some of several mean, in their own order; a pattern that means none is a ``UserError``."""
    chosen: set[str] = set()
    for pattern in (patterns,) if isinstance(patterns, str) else patterns:
        found = [name for name in names if matches(name, pattern)]
        if not found:
            raise no_match(names, pattern, kind)
        chosen.update(found)
    return tuple(name for name in names if name in chosen)


def no_match(names: Sequence[str], pattern: str, kind: str) -> UserError:
    """The error for a pattern that means nothing; it names the most similar last part and shows real names."""
    short = {".".join(name.split(".")[-parts:]): None for name in names for parts in (1, 2)}
    likest = max(short, key=lambda option: SequenceMatcher(None, option.lower(), pattern.lower()).ratio(), default=None)
    listed = ", ".join(dict.fromkeys(name.rsplit(".", 1)[-1] for name in names))
    return UserError(
        f"the {kind} pattern '{pattern}' matches no linear layer",
        expected=f"the end of a linear layer's name inside the blocks: {listed}",
        nearest=likest,
        try_="tunewright layers MODEL",
    )


def first_match(name: str, by_pattern: Mapping[str, Value]) -> Value | None:
    """The value of the first pattern that means this name."""
    return next((value for pattern, value in by_pattern.items() if matches(name, pattern)), None)


def linears_in(network: Network, layers: Sequence[int] | None) -> tuple[str, ...]:
    """Linear layers of all blocks, or of those numbered (0 the lowest, -1 the highest)."""
    names = linear_names(network)
    if layers is None:
        return names
    inside = {module for block in numbered_blocks(network, layers) for module in block.modules}
    return tuple(name for name in names if name in inside)


def numbered_blocks(network: Network, layers: Sequence[int] | None) -> tuple[LayerGroup, ...]:
    """The blocks of these numbers in their own order; a number outside the stack is a ``UserError``."""
    blocks = network.stack.blocks
    if layers is None:
        return blocks
    wrong = [number for number in layers if not -len(blocks) <= number < len(blocks)]
    if wrong or not layers:
        raise UserError(f"there is no block {wrong or 'in an empty list'}", expected=f"numbers from 0 to {len(blocks) - 1}")
    chosen = {number % len(blocks) for number in layers}
    return tuple(block for number, block in enumerate(blocks) if number in chosen)


@dataclass(frozen=True)
class Roles:
    """Which linear layer of a block plays which part; empty or None where the block has no such part."""

    key_value: tuple[str, ...]
    attention_output: tuple[str, ...]
    feed_forward_input: str | None
    feed_forward_output: str | None


def roles(network: Network, block: LayerGroup) -> Roles:
    """The parts that a block's linear layers play, from where they sit and their shapes.

    Linears below a module called attention are its projections: the last one that returns to the stream's width is its
    output, the keys and values are called so, and where one projection makes queries, keys and values together
    (GPT-2, ModernBERT) it counts as both. The others are the feed-forward part: the first reads the stream, the last
    returns to its width.
    """
    modules = dict(network.named_modules())
    width = width_of(network, block)
    start = _common_depth(block.modules)
    linears = [name for name in block.modules if is_linear(modules[name])]
    attentions: dict[str, list[str]] = {}
    forward: list[str] = []
    for name in linears:
        parts = name.split(".")
        at = next((index for index in range(start, len(parts)) if _ATTENTION.search(parts[index])), None)
        if at is None:
            forward.append(name)
        else:
            attentions.setdefault(".".join(parts[: at + 1]), []).append(name)
    outputs = tuple(_last_to(width, names, modules) for names in attentions.values())
    return Roles(
        key_value=tuple(name for names, out in zip(attentions.values(), outputs, strict=True) for name in _keys(names, out)),
        attention_output=tuple(name for name in outputs if name),
        feed_forward_input=next((name for name in forward if linear_shape(modules[name])[0] == width), None),
        feed_forward_output=_last_to(width, forward, modules),
    )


def width_of(network: Network, block: LayerGroup) -> int:
    """The width of the stream through all blocks; stages of several layers, each of its own width, have none."""
    width = getattr(network.inner.config, "hidden_size", None)
    inside = block_lists(network.get_submodule(block.modules[0]))
    if not isinstance(width, int) or any(len(layers) > 1 for layers in inside.values()):
        raise UserError(
            f"{block.name} of {network.base} is no transformer block of one width, whose parts could be told",
            expected="blocks of attention and feed-forward layers",
            try_="method: lora",
        )
    return width


def _keys(names: list[str], output: str | None) -> list[str]:
    """Key and value projections of one attention; a projection fused with the queries' is both."""
    inputs = [name for name in names if name != output]
    named = [name for name in inputs if _KEY_OR_VALUE.fullmatch(name.rsplit(".", 1)[-1])]
    return named or inputs[:1]


def _last_to(width: int, names: list[str], modules: dict[str, nn.Module]) -> str | None:
    return next((name for name in reversed(names) if linear_shape(modules[name])[1] == width), None)


def _common_depth(names: Sequence[str]) -> int:
    """How many leading parts all dotted names share: the block's own path."""
    columns = zip(*(name.split(".") for name in names), strict=False)
    return next((depth for depth, column in enumerate(columns) if len(set(column)) > 1), 0)
