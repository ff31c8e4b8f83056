"""Prefix: the frozen blocks at the bottom of a network, whose output can be kept and put back in their place.

While nothing below a depth moves and nothing there is random, what reaches that depth is a constant of each row. The
network is not taken apart: its own forward pass runs, with masks and positions as ever, and only the blocks below the
cut hand on what was kept. Where blocks hand on more than hidden states (T5's position bias), the first one of their list
makes it, and stays in place. Tensors that a block returns for nobody but a reader of all states (Swin's, before it shrinks them)
are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn

from tunewright.models.network import Network


@dataclass(frozen=True)
class Prefix:
    """Blocks below ``depth``, by module name: ``tops``, the last one of each list of blocks, and ``passed``, those beneath.

    ``makers`` maps a list whose blocks hand on more tensors than hidden states to the block that makes them; ``rests`` are
    the other things that a block's tuple ends in, no entry where it returns no tuple; ``values`` is how many numbers the tops
    make of each token, or of each example where nothing is padded.
    """

    depth: int
    tops: tuple[str, ...]
    passed: tuple[str, ...]
    makers: dict[str, str]
    rests: dict[str, tuple[Any, ...]]
    values: int

    @property
    def saved(self) -> int:
        """Blocks that need not run."""
        return len(self.tops) + len(self.passed)


def find_prefix(network: Network, depth: int, inputs: dict[str, Tensor]) -> Prefix | None:
    """What can be kept below ``depth``; None where that is nothing, or where the blocks share their weights.

    ``inputs`` is any batch: it shows what the blocks return. Call it in evaluation mode.
    """
    stack = network.stack
    blocks = [group.modules[0] for group in stack.blocks if group.depth < depth]
    if not blocks or (stack.shared > 1 and len(blocks) < len(stack.blocks)):
        return None
    outputs: dict[str, Any] = {}
    run_telling(network, inputs, {group.modules[0]: partial(outputs.__setitem__, group.modules[0]) for group in stack.blocks})
    ends = {name: output[1:] for name, output in outputs.items() if isinstance(output, tuple)}
    more = _handing_on(ends) & {_list_of(name) for name in blocks}
    rests = {name: tuple(None if isinstance(item, Tensor) else item for item in ends[name]) for name in blocks if name in ends}
    makers = {place: next(name for name in blocks if _list_of(name) == place) for place in sorted(more)}
    replaced = [name for name in blocks if name not in makers.values()]
    tops = tuple({_list_of(name): name for name in replaced}.values())
    if not tops or not all(_follows(hidden_of(outputs[name]), inputs) for name in tops):
        return None  # a method put tokens in front, or the states have another form
    read = inputs.get("input_ids") if _by_token(inputs) else None
    values = sum(hidden_of(outputs[name]).numel() for name in tops) // (
        len(hidden_of(outputs[tops[0]])) if read is None else read.numel()
    )
    return Prefix(depth, tops, tuple(name for name in replaced if name not in tops), makers, rests, values)


def capture(network: Network, prefixes: Sequence[Prefix], inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Hidden states (batch, tokens, width) at every top of the prefixes, from one pass that ends at the highest."""
    wanted = dict.fromkeys(name for prefix in prefixes for name in prefix.tops)
    found: dict[str, Tensor] = {}

    def keep(name: str, output: Any) -> None:
        found[name] = hidden_of(output)
        if len(found) == len(wanted) and network.stack.shared == 1:  # a shared block runs again: its last output counts
            raise _AllSeenError

    run_telling(network, inputs, {name: partial(keep, name) for name in wanted})
    return found


@contextmanager
def replayed(network: Network, prefix: Prefix, kept: dict[str, Tensor]) -> Iterator[None]:
    """While inside, the blocks of the prefix do not run: each top returns what was kept of this batch."""
    made: dict[str, tuple[Any, ...]] = {}

    def remember(_: nn.Module, __: Any, output: tuple[Any, ...], *, place: str) -> None:
        made[place] = output[1:]

    def stand_in(*arguments: Any, name: str, **named: Any) -> Any:
        hidden = kept[name] if name in kept else arguments[0] if arguments else named["hidden_states"]
        rest = made.get(_list_of(name), prefix.rests.get(name))
        return hidden if rest is None else (hidden, *rest)

    modules = {name: network.get_submodule(name) for name in (*prefix.passed, *prefix.tops)}
    hooks = [
        network.get_submodule(name).register_forward_hook(partial(remember, place=place)) for place, name in prefix.makers.items()
    ]
    for name, module in modules.items():
        module.forward = partial(stand_in, name=name)
    try:
        yield
    finally:
        for module in modules.values():
            del module.forward
        for hook in hooks:
            hook.remove()


class _AllSeenError(Exception):
    """Everything that was asked for has been seen; the rest of the forward pass is not needed."""


def run_telling(network: Network, inputs: dict[str, Tensor], tell: dict[str, Any]) -> None:
    """One pass without gradients; each named module's output is told as it comes."""
    own = get_ident()  # the pass of another thread is not ours

    def hook(_: nn.Module, __: Any, output: Any, *, name: str) -> None:
        if get_ident() == own:
            tell[name](output)

    hooks = [network.get_submodule(name).register_forward_hook(partial(hook, name=name)) for name in tell]
    try:
        with torch.no_grad():
            network(inputs)
    except _AllSeenError:
        pass
    finally:
        for one in hooks:
            one.remove()


def _handing_on(ends: dict[str, tuple[Any, ...]]) -> set[str]:
    """Lists in which one block hands the very tensor on that another was given, besides hidden states."""
    seen: dict[tuple[str, int], int] = {}
    for name, end in ends.items():
        for item in {id(item) for item in end if isinstance(item, Tensor)}:
            seen[_list_of(name), item] = seen.get((_list_of(name), item), 0) + 1
    return {place for (place, _), times in seen.items() if times > 1}


def hidden_of(output: Any) -> Tensor:
    found: Tensor = output[0] if isinstance(output, tuple) else output
    return found


def _follows(hidden: Tensor, inputs: dict[str, Tensor]) -> bool:
    """Whether a state belongs to each token, or where nothing is padded, to each example."""
    if _by_token(inputs):
        return hidden.shape[:2] == inputs["input_ids"].shape
    return len(hidden) == len(next(iter(inputs.values())))


def _by_token(inputs: dict[str, Tensor]) -> bool:
    """Whether states belong to tokens: texts alone, not beside images or sounds."""
    return "input_ids" in inputs and not {"pixel_values", "input_values", "input_features"} & set(inputs)


def _list_of(name: str) -> str:
    """Name of the list that a block is in."""
    return name.rsplit(".", 1)[0]
