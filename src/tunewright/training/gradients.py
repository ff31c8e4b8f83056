"""Gradients: cleared before a step, clipped after it, and for embedding tables kept to the rows that a step reads.

Autograd makes a zeroed copy of a whole table for every backward pass, adds it to .grad, and clearing .grad writes the
table once more: for a small encoder on a processor that is a quarter of a training step, for rows that hold zeros. Here
the looked-up rows' gradients are added to .grad where they belong, and only they are cleared. The sums are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.core.distributed import DistributedContext
from tunewright.core.sharding import is_shared, whole
from tunewright.models.network import Network

_SMALLEST = 2**20  # values in a table below which a dense gradient costs nothing (a guess)


@final
class Gradients:
    """The gradients of a network's parameters."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._tables: list[Any] = [module for module in network.modules() if _is_plain_table(module)]
        self._rows: dict[Tensor, list[Tensor]] = {}  # of each attached table: what has been added since it was cleared
        self._dense: set[Tensor] = set()  # tables to which autograd added as well: a tied layer, a penalty

    @contextmanager
    def by_rows(self) -> Iterator[None]:
        """While inside, large embedding tables get their gradients row by row."""
        hooks = []
        for table in self._tables:
            weight = table.weight
            self._rows[weight] = []
            moving = weight.requires_grad  # a hook is only taken by what has gradients now
            hooks.append(weight.requires_grad_(True).register_hook(partial(self._seen, weight)))
            weight.requires_grad_(moving)
            table.forward = partial(self._look_up, table)
        try:
            yield
        finally:
            for table in self._tables:
                del table.forward
            for hook in hooks:
                hook.remove()
            self._rows.clear()

    def clear(self) -> None:
        """No gradient anywhere: tables keep theirs as zeros, the others get new ones from the next backward pass."""
        for parameter in self.network.parameters():
            if parameter.grad is None:
                continue
            written = self._rows.get(parameter)
            if written is None or not parameter.requires_grad:
                parameter.grad = None
            elif parameter in self._dense:
                parameter.grad.zero_()
            else:
                for ids in written:
                    parameter.grad.index_fill_(0, ids, 0.0)
        for written in self._rows.values():
            written.clear()
        self._dense.clear()

    def add_up(self, world: DistributedContext, parameters: list[Tensor]) -> None:
        """Each gradient becomes its sum over all processes, zeros where one had no row for it."""
        if world.alone:
            return
        there = torch.tensor([parameter.grad is not None for parameter in parameters], dtype=torch.float64)
        world.all_reduce_gradients([there])
        moved = [parameter for parameter, many in zip(parameters, there.tolist(), strict=True) if many]
        for parameter in moved:
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        world.all_reduce_gradients([parameter.grad for parameter in moved if parameter.grad is not None])
        self._dense.update(parameter for parameter in moved if parameter in self._rows)  # others wrote other rows of a table

    @staticmethod
    def clip(parameters: list[Tensor], limit: float | None) -> float:
        """The norm of all gradients together, which are scaled down to ``limit`` where it is larger.

        Source: Pascanu et al. 2013, algorithm 1.
        """
        found = [parameter.grad for parameter in parameters if parameter.grad is not None]
        total = whole(torch.nn.utils.get_total_norm(found))
        norm = float(total)
        if limit is not None and norm > limit:
            torch.nn.utils.clip_grads_with_norm_(parameters, limit, total)
        return norm

    def _seen(self, weight: Tensor, gradient: Tensor | None) -> None:
        if gradient is not None:
            self._dense.add(weight)

    def _look_up(self, table: Any, ids: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and table.weight.requires_grad):
            return functional.embedding(ids, table.weight)
        found: Tensor = _Rows.apply(table.weight, ids, table.padding_idx, self._rows[table.weight])
        return found


def _is_plain_table(module: nn.Module) -> bool:
    """Whether a module is a large nn.Embedding that does nothing but look up."""
    return (
        isinstance(module, nn.Embedding)
        and type(module).forward is nn.Embedding.forward
        and "forward" not in vars(module)
        and module.weight.numel() >= _SMALLEST
        and not is_shared(module.weight)
        and module.max_norm is None
        and not (module.scale_grad_by_freq or module.sparse)
    )


@final
class _Rows(torch.autograd.Function):
    """weight[ids], whose backward pass adds to weight.grad itself and hands autograd nothing."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, ids: Tensor, padding: int | None, written: list[Tensor]) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.weight, ctx.padding, ctx.written = weight, padding, written
        return functional.embedding(ids, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, None, None]:
        ids, rows = ctx.saved_tensors[0].reshape(-1), gradients[0].reshape(-1, gradients[0].shape[-1])
        if ctx.padding is not None:
            real = ids != ctx.padding
            ids, rows = ids[real], rows[real]
        if ctx.weight.grad is None:
            ctx.weight.grad = torch.zeros_like(ctx.weight)
        ctx.weight.grad.index_add_(0, ids, rows.to(ctx.weight.dtype))
        ctx.written.append(ids)
        return None, None, None, None
