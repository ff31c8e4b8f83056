"""Vocabulary: a language model's logits that are not made yet, so that no step ever holds all of them.

A batch of 8 x 2,048 tokens over 128,000 words would be 8 GiB of logits in float32 and as much of gradients. Here the
hidden states and the matrix that reads them stand for the logits; the loss is computed over pieces of the tokens that are
learnt, and once more for the gradient.
Source: the softmax's running maximum over pieces, Milakov and Gimelshein 2018; recomputing, Chen et al. 2016, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional

from tunewright.datasets.ragged import IGNORED

_CELLS = 1 << 24  # logits held at once (64 MiB in float32; a guess)
_ON_DEVICE = 16  # times as many on an accelerator, where small products leave it idle (a guess)


@final
@dataclass(frozen=True)
class Vocabulary:
    """Hidden states (batch, tokens, width) with the output matrix (words, width) and its bias (words,).

    ``scale`` and ``cap`` are what some architectures do to their logits: cap x tanh(scale x logits / cap).
    """

    hidden: Tensor
    weight: Tensor
    bias: Tensor | None = None
    scale: float = 1.0
    cap: float | None = None

    def float(self) -> Vocabulary:
        """As a tensor's: pieces are float32 anyway."""
        return self

    def logits(self, hidden: Tensor | None = None) -> Tensor:
        """Logits (..., words) in float32 of some hidden states (..., width); of all without an argument."""
        return _logits(self.hidden if hidden is None else hidden, self.weight, self.bias, self.scale, self.cap)

    def likeliest(self, hidden: Tensor) -> Tensor:
        """The likeliest token after each of some hidden states (n, width), (n,), piece by piece."""
        found = [self.logits(hidden[part]).argmax(-1) for part in _pieces(len(hidden), self.weight)]
        return torch.cat(found) if found else torch.empty(0, dtype=torch.long, device=hidden.device)

    def losses(self, targets: Tensor, *, shifted: bool = True) -> Tensor:
        """Loss in nats of each token given those before it, (batch, tokens): 0 where ``targets`` has IGNORED.

        ``targets`` (batch, tokens) are aligned with the input; the shift by one is made here, so that the first is never learnt.
        Not ``shifted``: each place tells its own token, as in a masked language model.
        """
        wanted = _wanted(targets, shifted)
        learnt = wanted != IGNORED
        given = (self.hidden[learnt], wanted[learnt], self.weight, self.bias, self.scale, self.cap)
        losses = _ChunkedLoss.apply(*given)  # type: ignore[no-untyped-call]
        placed = torch.zeros(wanted.shape, dtype=torch.float32, device=wanted.device).masked_scatter(learnt, losses)
        return torch.cat([placed[:, :1] * 0, placed[:, :-1]], dim=1) if shifted else placed


def divergences(ours: Vocabulary, said: Vocabulary, targets: Tensor, temperature: float, *, shifted: bool = True) -> Tensor:
    """Divergence of the told tokens' distributions from those ``said`` by another network, summed over each example's, (batch,).

    Both are softened by ``temperature``, whose square multiplies the sum (Hinton et al. 2015, section 2); ``targets`` tell which
    places count, as in ``losses``. Pieces of both networks' logits are made, and made again for the gradient.
    """
    learnt = _wanted(targets, shifted) != IGNORED
    given = (ours.hidden[learnt], ours.weight, ours.bias, ours, said.hidden[learnt], said, temperature)
    each = _ChunkedDivergence.apply(*given)  # type: ignore[no-untyped-call]
    placed = torch.zeros(learnt.shape, dtype=torch.float32, device=learnt.device).masked_scatter(learnt, each)
    return placed.sum(1)


def _wanted(targets: Tensor, shifted: bool) -> Tensor:
    """What each place is to tell: its own token, or the next one."""
    if not shifted:
        return targets
    wanted = targets.new_full(targets.shape, IGNORED)
    wanted[:, :-1] = targets[:, 1:]
    return wanted


def _logits(hidden: Tensor, weight: Tensor, bias: Tensor | None, scale: float, cap: float | None) -> Tensor:
    made = functional.linear(hidden, weight, bias).float()
    if scale != 1.0:
        made = made * scale
    return made if cap is None else cap * torch.tanh(made / cap)


class _ChunkedLoss(torch.autograd.Function):
    """Cross-entropy of hidden states (n, width) against targets (n,), piece by piece, both ways."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, targets: Tensor, weight: Tensor, bias: Tensor | None, scale: float, cap: float | None
    ) -> Tensor:
        losses = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        totals = torch.empty_like(losses)
        for part in _pieces(len(targets), weight):
            logits = _logits(hidden[part], weight, bias, scale, cap)
            totals[part] = logits.logsumexp(-1)
            losses[part] = totals[part] - logits.gather(1, targets[part, None]).squeeze(1)
        ctx.save_for_backward(hidden, targets, weight, bias, totals)
        ctx.scale, ctx.cap = scale, cap
        ctx.autocast = torch.is_autocast_enabled(hidden.device.type), torch.get_autocast_dtype(hidden.device.type)
        return losses

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        hidden, targets, weight, bias, totals = ctx.saved_tensors
        wants_hidden, wants_weight, wants_bias = ctx.needs_input_grad[0], ctx.needs_input_grad[2], ctx.needs_input_grad[3]
        to_hidden = torch.empty_like(hidden) if wants_hidden else None
        to_weight = torch.zeros_like(weight) if wants_weight else None
        to_bias = torch.zeros_like(bias) if wants_bias else None
        enabled, dtype = ctx.autocast
        for part in _pieces(len(targets), weight):
            with torch.autocast(hidden.device.type, dtype=dtype, enabled=enabled):
                logits = _logits(hidden[part], weight, bias, ctx.scale, ctx.cap)
                slope = (logits - totals[part, None]).exp()
                slope[torch.arange(len(slope), device=slope.device), targets[part]] -= 1
                slope *= upstream[0][part, None] * ctx.scale
                if ctx.cap is not None:
                    slope *= 1 - (logits / ctx.cap).square()
                _carry(slope, hidden, weight, part, to_hidden, to_weight, to_bias)
        return to_hidden, None, to_weight, to_bias, None, None


class _ChunkedDivergence(torch.autograd.Function):
    """Divergence of the words after hidden states (n, width) from what another network says, piece by piece, both ways."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        ours: Vocabulary,
        told: Tensor,
        said: Vocabulary,
        temperature: float,
    ) -> Tensor:
        losses = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        for part in _pieces(len(hidden), weight):
            mine, theirs = (one.log_softmax(-1) for one in _softened(ours, hidden[part], said, told[part], temperature))
            losses[part] = temperature**2 * (theirs.exp() * theirs.sub(mine)).sum(-1)
        ctx.save_for_backward(hidden, weight, bias, told)
        ctx.ours, ctx.said, ctx.temperature = ours, said, temperature
        ctx.autocast = torch.is_autocast_enabled(hidden.device.type), torch.get_autocast_dtype(hidden.device.type)
        return losses

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, told = ctx.saved_tensors
        ours, temperature = ctx.ours, ctx.temperature
        to_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        to_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        to_bias = torch.zeros_like(bias) if ctx.needs_input_grad[2] else None
        enabled, dtype = ctx.autocast
        for part in _pieces(len(hidden), weight):
            with torch.autocast(hidden.device.type, dtype=dtype, enabled=enabled):
                mine, theirs = _softened(ours, hidden[part], ctx.said, told[part], temperature)
                slope = functional.pad(mine.softmax(-1) - theirs.softmax(-1), (0, len(weight) - mine.shape[1]))
                slope *= upstream[0][part, None] * (temperature * ours.scale)
                if ours.cap is not None:
                    slope[:, : mine.shape[1]] *= 1 - (mine * (temperature / ours.cap)).square()
                _carry(slope, hidden, weight, part, to_hidden, to_weight, to_bias)
        return to_hidden, to_weight, to_bias, None, None, None, None


def _softened(ours: Vocabulary, hidden: Tensor, said: Vocabulary, told: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Both networks' logits over the temperature; a vocabulary that is filled up with words of no token is cut to the shorter."""
    words = min(len(ours.weight), len(said.weight))
    return ours.logits(hidden)[:, :words] / temperature, said.logits(told)[:, :words] / temperature


def _carry(
    slope: Tensor,
    hidden: Tensor,
    weight: Tensor,
    part: slice,
    to_hidden: Tensor | None,
    to_weight: Tensor | None,
    to_bias: Tensor | None,
) -> None:
    """Carry the gradient of a piece's logits (n, words) on to where one is wanted, in the arithmetic of the forward pass."""
    kind = hidden.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
    if to_hidden is not None:
        to_hidden[part] = (slope @ weight if dtype is None else slope.to(dtype) @ weight.to(dtype)).to(hidden.dtype)
    if to_weight is not None:
        read = slope.T @ hidden[part].to(slope.dtype) if dtype is None else slope.to(dtype).T @ hidden[part].to(dtype)
        to_weight += read
    if to_bias is not None:
        to_bias += slope.sum(0)


def _pieces(rows: int, weight: Tensor) -> list[slice]:
    cells = _CELLS if weight.device.type == "cpu" else _ON_DEVICE * _CELLS
    size = max(1, cells // max(1, len(weight)))
    return [slice(start, start + size) for start in range(0, rows, size)]
