"""The processes that train one model together: one alone, or those that torchrun started.

Every process has all rows and the whole model; each takes its share of every batch, and gradients are summed, so a step is that
of one process with the same batches. What only one may decide (time, signals, callbacks) the first decides for all.
Source: synchronous data parallelism: Goyal et al. 2017, Accurate, Large Minibatch SGD, sections 2 and 3.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, final

from tunewright.core.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

_PIECE = 2**24  # values summed at once, so that small gradients travel together (a guess)
_PATIENCE = timedelta(days=1)  # the others wait while the first one measures and writes; torchrun ends all when one ends


@final
class DistributedContext:
    """One process's place among ``size`` of them; ``rank`` 0 leads."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size

    @property
    def is_main_process(self) -> bool:
        return self.rank == 0

    @property
    def alone(self) -> bool:
        return self.size == 1

    def share(self, rows: np.ndarray) -> np.ndarray:
        """The part of some rows that this process takes: all parts together are the rows, each once."""
        return rows if self.alone else rows[self.rank :: self.size]

    def all_reduce_gradients(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes."""
        if self.alone:
            return
        import torch
        import torch.distributed as dist

        with torch.no_grad(), _in_contact():
            for piece in _pieces(tensors):
                flat = torch.cat([tensor.detach().flatten() for tensor in piece])
                dist.all_reduce(flat)
                parts = flat.split([tensor.numel() for tensor in piece])
                for tensor, part in zip(piece, parts, strict=True):
                    tensor.copy_(part.view_as(tensor))

    def all_reduce_sum(self, value: float) -> float:
        """The sum of a number over all processes."""
        return value if self.alone else float(self._reduced(value, "SUM"))

    def all_reduce_max(self, value: float) -> float:
        """The largest of all processes' numbers."""
        return value if self.alone else float(self._reduced(value, "MAX"))

    def broadcast_number(self, value: float) -> float:
        """The first process's number."""
        return value if self.alone else float(self.broadcast([_number(value)])[0])

    def broadcast(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """Every tensor as the first process has it, written in place."""
        if not self.alone:
            import torch
            import torch.distributed as dist

            with torch.no_grad(), _in_contact():
                for tensor in tensors:
                    flat = tensor.detach().contiguous()
                    dist.broadcast(flat, 0)
                    tensor.copy_(flat)
        return tensors

    def broadcast_object(self, content: Any = None) -> Any:
        """What the first process says, a value that JSON holds."""
        if self.alone:
            return content
        import torch

        raw = torch.frombuffer(bytearray(json.dumps(content).encode()), dtype=torch.uint8) if self.is_main_process else None
        size = int(self.broadcast_number(0 if raw is None else len(raw)))
        (heard,) = self.broadcast([torch.zeros(size, dtype=torch.uint8) if raw is None else raw])
        return json.loads(bytes(heard.tolist()))

    def gather(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """All processes' tensors, of the same shapes: the first's by name, the others' as 'rank<N>/<name>'."""
        if self.alone:
            return tensors
        import torch
        import torch.distributed as dist

        found = dict(tensors)
        for name, tensor in sorted(tensors.items()):
            each = [torch.empty_like(tensor) for _ in range(self.size)]
            with _in_contact():
                dist.all_gather(each, tensor.contiguous())
            found |= {name if rank == 0 else f"rank{rank}/{name}": one for rank, one in enumerate(each)}
        return found

    def own(self, tensors: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """The part of what was gathered that is this process's own; None where fewer processes had been there."""
        prefix = "" if self.is_main_process else f"rank{self.rank}/"
        found = {
            name.removeprefix(prefix): tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix) and (prefix or not name.startswith("rank"))
        }
        return found or None

    def wait(self) -> None:
        """Until all are here."""
        if not self.alone:
            import torch.distributed as dist

            with _in_contact():
                dist.barrier()

    def _reduced(self, value: float, how: str) -> Tensor:
        import torch.distributed as dist

        number = _number(value)
        with _in_contact():
            dist.all_reduce(number, getattr(dist.ReduceOp, how))
        return number


ALONE = DistributedContext()


def join() -> DistributedContext:
    """The world that torchrun made, or this process alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return ALONE
    import torch
    import torch.distributed as dist
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    if not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        with _in_contact():
            store, rank, size = next(rendezvous("env://", timeout=_PATIENCE))
            store = PrefixStore(f"start-{_start()}", store)
            backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
            dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_PATIENCE)
    return DistributedContext(dist.get_rank(), dist.get_world_size())


def _start() -> str:
    """Which start of torchrun's this is: its store outlives a restart and still holds the addresses of processes that ended.

    Several machines count their restarts apart; torchrun itself can make a store for each (docs/explanation/distributed.md).
    """
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if os.environ.get("GROUP_WORLD_SIZE", "1") == "1" else "0"


def leads() -> bool:
    """Whether this process is the first, or alone; told without loading torch."""
    return int(os.environ.get("RANK", "0")) == 0 or int(os.environ.get("WORLD_SIZE", "1")) == 1


@contextmanager
def _in_contact() -> Iterator[None]:
    """Another process that ended is said in our words."""
    try:
        yield
    except RuntimeError as error:
        raise UserError(
            "another process of this run has ended or cannot be reached, so it cannot go on",
            expected="all processes that torchrun started",
            try_="the same command, which continues from the newest checkpoint",
        ) from error


def _number(value: float) -> Tensor:
    import torch

    return torch.tensor([value], dtype=torch.float64)


def _pieces(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """Tensors of one kind and device, as many together as ``_PIECE`` values allow."""
    found: list[list[Tensor]] = []
    held = 0
    for tensor in tensors:
        same = found and found[-1][0].dtype == tensor.dtype and found[-1][0].device == tensor.device
        if not same or held + tensor.numel() > _PIECE:
            found.append([])
            held = 0
        found[-1].append(tensor)
        held += tensor.numel()
    return found
