"""LayerStack: a network as an ordered stack of layers, found from its module tree and one traced forward pass.

The tree tells which modules are the repeated blocks; the trace tells in which order everything runs. No table of
model families: an architecture that keeps its blocks in a list is supported by being written that way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn

from tunewright.core.errors import UserError


@dataclass(frozen=True)
class LayerGroup:
    """One layer of the stack: all modules, parameters and buffers of one depth, by dotted name."""

    name: str
    depth: int
    modules: tuple[str, ...]
    parameters: tuple[str, ...]
    buffers: tuple[str, ...]


@dataclass(frozen=True)
class LayerStack:
    """Ordered groups: embeddings (depth 0), the blocks, what runs after them ('final'), the new head.

    ``shared`` is how often each block runs in one forward pass: above 1 the blocks share their weights (ALBERT), so
    that freezing 'the lower layers' cannot separate them.
    """

    groups: tuple[LayerGroup, ...]
    shared: int = 1
    _depths: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._depths.update({name: group.depth for group in self.groups for name in (*group.parameters, *group.buffers)})

    @property
    def depths(self) -> int:
        """Number of groups, the head included."""
        return len(self.groups)

    @property
    def blocks(self) -> tuple[LayerGroup, ...]:
        """The repeated blocks, lowest first."""
        return tuple(group for group in self.groups if group.name.startswith("block"))

    @property
    def head(self) -> LayerGroup:
        return self.groups[-1]

    def depth_of(self, name: str) -> int:
        """Depth of a parameter or buffer; one that a method added takes the depth of the module it sits in."""
        if name in self._depths:
            return self._depths[name]
        return max((g.depth for g in self.groups for module in g.modules if module and name.startswith(module + ".")), default=0)


def find_stack(network: nn.Module, run: Callable[[], object], head: tuple[str, ...], *, parallel: bool = False) -> LayerStack:
    """The stack of ``network``; ``run`` makes one forward pass, ``head`` names the new parameters.

    ``parallel``: encoders side by side. Their blocks take turns, each by its share of its own encoder's height, so that what
    lies below any depth is the bottom of every encoder; what joins them is final.
    Raises UserError when the module tree has no list of blocks.
    """
    lists, towers = _lists_by_tower(network, head) if parallel else (block_lists(network), ("",))
    if not lists:
        raise UserError(
            f"no stack of layers was found in {type(network).__name__}",
            expected="an nn.ModuleList or nn.Sequential whose members are of one class and hold parameters",
        )
    blocks = [f"{name}.{index}" for name, modules in lists.items() for index in range(len(modules))]
    order = _trace(network, run)
    blocks = sorted((name for name in blocks if name in order and _has_old(network, name, head)), key=lambda name: order[name][0])
    blocks = _by_turns(blocks, towers)
    if not blocks:
        raise UserError(f"the blocks of {type(network).__name__} did not run in a forward pass", expected="blocks that run")
    shared = _runs_per_block(network, run, blocks)
    return LayerStack(_groups(network, blocks, order, set(head), towers), shared)


def _lists_by_tower(
    network: nn.Module, head: tuple[str, ...]
) -> tuple[dict[str, nn.ModuleList | nn.Sequential], tuple[str, ...]]:
    """The lists of blocks of each encoder that stands beside others, and the encoders' names."""
    parts = [name.split(".") for name in _alike(network) if _has_old(network, name, head)]
    common = next((depth for depth, column in enumerate(zip(*parts, strict=False)) if len(set(column)) > 1), 0)
    towers = tuple(dict.fromkeys(".".join(part[: common + 1]) for part in parts))
    found = {tower: block_lists(network.get_submodule(tower)) for tower in towers}
    return {f"{tower}.{name}": modules for tower, lists in found.items() for name, modules in lists.items()}, towers


def _by_turns(blocks: list[str], towers: tuple[str, ...]) -> list[str]:
    """Blocks of several towers by how high each stands in its own; those of one as they are."""
    heights: dict[str, float] = {}
    for tower in towers:
        own = [name for name in blocks if _is_in(name, tower)]
        heights |= {name: (place + 1) / len(own) for place, name in enumerate(own)}
    return sorted(blocks, key=heights.__getitem__)


def _is_in(name: str, tower: str) -> bool:
    return not tower or f"{name}.".startswith(f"{tower}.")


def _has_old(network: nn.Module, name: str, head: tuple[str, ...]) -> bool:
    """Whether a module is more than a part of the new head."""
    return any(key not in head for key, _ in network.get_submodule(name).named_parameters(prefix=name))


def block_lists(network: nn.Module) -> dict[str, nn.ModuleList | nn.Sequential]:
    """Outermost lists whose members share one class and hold a matrix each."""
    found = _alike(network)
    # Convolutions that make the input of a transformer (wav2vec 2.0) are its embeddings, not blocks beside its own.
    with_matrices = {name: module for name, module in found.items() if all(map(_has_matrix, module))}
    return with_matrices or found


def _alike(network: nn.Module) -> dict[str, nn.ModuleList | nn.Sequential]:
    """Outermost lists whose members share one class and hold a kernel or matrix each."""
    found: dict[str, nn.ModuleList | nn.Sequential] = {}
    for name, module in network.named_modules():
        if not isinstance(module, (nn.ModuleList, nn.Sequential)) or any(name.startswith(outer + ".") for outer in found):
            continue
        members = list(module)
        alike = len({type(member) for member in members}) == 1
        heavy = all(any(parameter.ndim > 1 for parameter in member.parameters()) for member in members)
        if members and alike and heavy and not isinstance(members[0], (nn.Linear, nn.Embedding)):
            found[name] = module
    return found


def _has_matrix(module: nn.Module) -> bool:
    return any(parameter.ndim == 2 for parameter in module.parameters())


def _trace(network: nn.Module, run: Callable[[], object]) -> dict[str, tuple[int, int]]:
    """For each module that ran: (first entry, last exit) on one clock of entries and exits."""
    clock = 0
    times: dict[str, tuple[int, int]] = {}
    hooks = []

    def entering(name: str) -> Callable[..., None]:
        def hook(*_: object) -> None:
            nonlocal clock
            clock += 1
            times.setdefault(name, (clock, clock))

        return hook

    def leaving(name: str) -> Callable[..., None]:
        def hook(*_: object) -> None:
            nonlocal clock
            clock += 1
            times[name] = (times[name][0], clock)

        return hook

    for name, module in network.named_modules():
        hooks += [module.register_forward_pre_hook(entering(name)), module.register_forward_hook(leaving(name))]
    _quiet_run(network, run, hooks)
    return times


def _runs_per_block(network: nn.Module, run: Callable[[], object], blocks: list[str]) -> int:
    """How often the lowest block runs, counting inner repetition of a shared layer list (ALBERT)."""
    counts = dict.fromkeys(blocks, 0)
    modules = dict(network.named_modules())

    def counting(name: str) -> Callable[..., None]:
        def hook(*_: object) -> None:
            counts[name] += 1

        return hook

    hooks = [modules[name].register_forward_hook(counting(name)) for name in blocks]
    _quiet_run(network, run, hooks)
    return max(1, counts[blocks[0]])


def _quiet_run(network: nn.Module, run: Callable[[], object], hooks: list[torch.utils.hooks.RemovableHandle]) -> None:
    modes = {module: module.training for module in network.modules()}
    network.eval()  # no dropout, so no random number is drawn
    try:
        with torch.no_grad():
            run()
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes.items():
            module.training = training


def _groups(
    network: nn.Module, blocks: list[str], order: dict[str, tuple[int, int]], head: set[str], towers: tuple[str, ...]
) -> tuple[LayerGroup, ...]:
    def depth_of_module(name: str) -> int:
        for index, block in enumerate(blocks):
            if name == block or name.startswith(block + "."):
                return index + 1
        tower = next((one for one in towers if _is_in(name, one)), None)
        if tower is None:
            return len(blocks) + 1  # joins the towers
        if name not in order:
            return 0  # never called as a module: its tensors are read by an outer one, so the lowest depth is the safe one
        start = order[name][0]
        own = [(order[block], depth) for depth, block in enumerate(blocks, 1) if _is_in(block, tower)]
        if not own or start > own[-1][0][1]:
            return len(blocks) + 1 if own else 0
        return max((depth for (entry, _), depth in own if entry < start), default=0)  # between two: with the block before it

    final, top = len(blocks) + 1, len(blocks) + 2
    modules: dict[int, list[str]] = {depth: [] for depth in range(top + 1)}
    parameters: dict[int, list[str]] = {depth: [] for depth in range(top + 1)}
    buffers: dict[int, list[str]] = {depth: [] for depth in range(top + 1)}
    seen: set[int] = set()
    for name, module in network.named_modules():
        own = [f"{name}.{key}" if name else key for key, _ in module.named_parameters(recurse=False)]
        depth = top if own and all(key in head for key in own) else depth_of_module(name)
        if name and not any(block.startswith(name + ".") for block in blocks):  # containers of blocks span several depths
            modules[depth].append(name)
        for key, parameter in module.named_parameters(prefix=name, recurse=False):
            if id(parameter) not in seen:  # a tied tensor belongs to where it is met first
                seen.add(id(parameter))
                parameters[top if key in head else depth].append(key)
        buffers[depth] += [key for key, _ in module.named_buffers(prefix=name, recurse=False)]
    names = ["embeddings", *(f"block {index}" for index in range(len(blocks))), "final", "head"]
    kept = [depth for depth in range(top + 1) if depth != final or parameters[final]]
    return tuple(
        LayerGroup(names[depth], position, tuple(modules[depth]), tuple(parameters[depth]), tuple(buffers[depth]))
        for position, depth in enumerate(kept)
    )
