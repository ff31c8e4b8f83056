"""W x + b + scaling · B A x in one step, with a backward pass written out.

Autograd would keep the narrow product's input twice, cast it once for each factor, and add full-size results that can be
added in place. Source: Hu et al. 2022, section 4.1; the gradients are the chain rule's.
"""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional


@final
class LoraProduct(torch.autograd.Function):
    """Inputs x (…, inputs), frozen W (outputs, inputs) and b (outputs,) or None, A (rank, inputs), B (outputs, rank)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scaling: float) -> Tensor:
        kind = _arithmetic(x)
        rows = x.reshape(-1, x.shape[-1]).to(kind)
        weight, narrow, wide = weight.to(kind), a.to(kind), (b * scaling).to(kind)
        hidden = rows @ narrow.t()
        out = functional.linear(rows, weight, None if bias is None else bias.to(kind))
        out.addmm_(hidden, wide.t())
        ctx.save_for_backward(rows, weight, narrow, wide, hidden)
        ctx.scaling, ctx.kinds, ctx.shape = scaling, (x.dtype, a.dtype, b.dtype), x.shape
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None, Tensor, Tensor, None]:
        rows, weight, narrow, wide, hidden = ctx.saved_tensors
        of_x, of_a, of_b = ctx.kinds
        gradient = gradients[0].reshape(-1, weight.shape[0]).to(rows.dtype)
        through = gradient @ wide
        to_x = None
        if ctx.needs_input_grad[0]:
            to_x = (gradient @ weight).addmm_(through, narrow).view(ctx.shape).to(of_x)
        to_a = (through.t() @ rows).to(of_a)
        to_b = (gradient.t() @ hidden).to(of_b) * ctx.scaling
        return to_x, None, None, to_a, to_b, None


def _arithmetic(x: Tensor) -> torch.dtype:
    """What autocast would compute in, else the input's own type."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
