"""What each part of a row, a token or a patch of pixels, adds to an output, and what happens when parts are blotted out.

Source: integrated gradients: Sundararajan, Taly and Yan 2017, section 3, along the straight line, at Gauss-Legendre
points; deletion and insertion: Petsiuk, Das and Saenko 2018, RISE, section 4.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tunewright.models.network import Network

_AT_ONCE = 32  # copies of a row in one pass
_GOES_ON, _BEGINS = "##", ("\u0120", "\u2581")  # marks of tokenizers: WordPiece; byte pairs and SentencePiece


@dataclass(frozen=True)
class Parted:
    """One row in parts: what the network reads of it, ``plain``, and the same with nothing said, ``blank``, both (1, …).

    ``part_of``: which part each place belongs to, of the shape of ``plain`` without its first axis and its ``channels``; what has
    -1 stays as it is. ``forward(values)``: outputs (copies, outputs) of (copies, …) in place of ``plain``.
    """

    plain: Tensor
    blank: Tensor
    part_of: Tensor
    channels: int  # axis of ``plain`` along which a place's values lie
    names: tuple[str, ...]
    forward: Callable[[Tensor], Tensor]
    follows: tuple[bool, ...] = ()  # of tokens, whether one goes on with the word of the one before

    @property
    def many(self) -> int:
        return len(self.names)


def parted_text(network: Network, inputs: dict[str, Tensor]) -> Parted:
    """The tokens of one row, as their embeddings; a blank one is the mask, padding or unknown token; special ones stay."""
    tokenizer, layer = network.tokenizer, network.inner.get_input_embeddings()
    ids = inputs["input_ids"]
    special = torch.isin(ids, torch.tensor(tokenizer.all_special_ids, device=ids.device))
    with torch.no_grad():
        plain = layer(ids)
        blank = layer(torch.where(special, ids, _blank_token(tokenizer)))
    part_of = torch.where(special[0], -1, torch.cumsum(~special[0], 0) - 1)
    tokens = ids[0][~special[0]].tolist()
    names = tuple(tokenizer.decode([token]).strip() for token in tokens)

    def forward(values: Tensor) -> Tensor:
        copies = {name: one.expand(len(values), *one.shape[1:]) for name, one in inputs.items()}
        with _reading(layer, values):
            out: Tensor = network(copies)
        return out

    return Parted(plain, blank, part_of, 2, names, forward, _follows(tokenizer.convert_ids_to_tokens(tokens)))


def _follows(tokens: list[str]) -> tuple[bool, ...]:
    """Whether each token goes on with a word: WordPiece marks those, byte pairs and SentencePiece where words begin."""
    if any(token.startswith(_BEGINS) for token in tokens):
        return tuple(at > 0 and not token.startswith(_BEGINS) for at, token in enumerate(tokens))
    return tuple(at > 0 and token.startswith(_GOES_ON) for at, token in enumerate(tokens))


def whole_words(row: Parted, found: np.ndarray) -> tuple[tuple[str, float], ...]:
    """Words in their order with the sum of what their tokens add, which is what the word adds."""
    words: list[tuple[str, float]] = []
    for name, weight, follows in zip(row.names, found.tolist(), row.follows, strict=True):
        if follows:
            before, sum_before = words[-1]
            words[-1] = (before + name.removeprefix(_GOES_ON), sum_before + weight)
        else:
            words.append((name, weight))
    return tuple(words)


def parted_image(network: Network, inputs: dict[str, Tensor], patches: int) -> Parted:
    """One picture in a square of ``patches`` x ``patches``; a blank one is what normalization makes 0, the mean colour."""
    plain = inputs["pixel_values"]
    height, width = plain.shape[2:]
    rows, columns = (torch.arange(side, device=plain.device) * patches // side for side in (height, width))
    names = tuple(f"row {row + 1}, column {column + 1}" for row in range(patches) for column in range(patches))

    def forward(values: Tensor) -> Tensor:
        out: Tensor = network({**inputs, "pixel_values": values})
        return out

    return Parted(plain, torch.zeros_like(plain), rows[:, None] * patches + columns, 1, names, forward)


def integrated_gradients(row: Parted, output: int, steps: int) -> np.ndarray:
    """What each part adds to an output, (parts,); the sum is the output's difference to that of the blank row."""
    points, weights = np.polynomial.legendre.leggauss(steps)
    difference = row.plain - row.blank
    total = torch.zeros_like(row.plain)
    for some in np.array_split(np.arange(steps), -(-steps // _AT_ONCE)):
        shape = (len(some), *[1] * (row.plain.ndim - 1))
        along = torch.tensor((1 + points[some]) / 2, dtype=row.plain.dtype, device=row.plain.device).view(shape)
        values = (row.blank + along * difference).requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(row.forward(values)[:, output].sum(), values)
        share = torch.tensor(weights[some] / 2, dtype=row.plain.dtype, device=row.plain.device).view(shape)
        total += (gradient * share).sum(0, keepdim=True)
    places = (total * difference).sum(row.channels)[0]
    found = torch.zeros(row.many, dtype=places.dtype, device=places.device)
    inside = row.part_of >= 0
    found.index_add_(0, row.part_of[inside], places[inside])
    return found.cpu().double().numpy()


def outputs_of(row: Parted, kept: np.ndarray) -> np.ndarray:
    """Outputs of the row with only some of its parts, (ways, outputs), of (ways, parts) bool."""
    found = []
    for some in np.array_split(kept, -(-len(kept) // _AT_ONCE)):
        mask = torch.from_numpy(some).to(row.plain.device)
        mask = torch.cat([mask, torch.ones(len(some), 1, dtype=torch.bool, device=mask.device)], 1)  # the last: what stays
        here = mask[:, row.part_of].unsqueeze(row.channels)
        with torch.inference_mode():
            found.append(row.forward(torch.where(here, row.plain, row.blank)).float().cpu().numpy())
    return np.concatenate(found)


def steps_kept(order: np.ndarray, points: int, *, deleting: bool) -> np.ndarray:
    """Which parts are kept as they are deleted or inserted in an order, at evenly spread shares of them, (points + 1, parts)."""
    many = np.rint(np.linspace(0, len(order), points + 1)).astype(int)
    place = np.empty(len(order), dtype=int)
    place[order] = np.arange(len(order))
    gone = place[None] < many[:, None]
    return ~gone if deleting else gone


def _blank_token(tokenizer: Any) -> int:
    known = (tokenizer.mask_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id)
    return next((token for token in known if token is not None), 0)


@contextmanager
def _reading(layer: torch.nn.Module, values: Tensor) -> Iterator[None]:
    """While inside, the embedding layer's first answer is ``values``."""
    left = [values]
    hook = layer.register_forward_hook(lambda *_: left.pop() if left else None)
    try:
        yield
    finally:
        hook.remove()
