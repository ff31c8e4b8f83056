"""Shares: a tensor that is dealt out among processes, and the whole of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def whole(tensor: Tensor) -> Tensor:
    """A tensor with all its shares; every process must ask for the same one. One that is whole stays as it is."""
    part: Any = tensor
    full: Tensor = part.full_tensor() if is_shared(part) else part
    return full


def shared_as(tensor: Tensor, like: Tensor) -> Tensor:
    """The own share of a whole tensor, dealt out as ``like`` is; a share, or what ``like`` keeps whole, stays as it is."""
    if not is_shared(like) or is_shared(tensor):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    parameter: Any = like
    # None: every process has the whole tensor, nothing needs to be sent
    return distribute_tensor(tensor.to(like.device), parameter.device_mesh, parameter.placements, src_data_rank=None)


def is_shared(tensor: Tensor) -> Any:
    """Whether a tensor is a share (torch's DTensor, whose module need not be loaded to tell)."""
    return hasattr(tensor, "full_tensor")
