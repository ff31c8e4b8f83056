"""Several short rows in one: no compute is spent on padding, and no row sees another.

What makes that right in transformers. Each row's positions start at 0 again, and attention is the block-diagonal causal mask:
- ``masks_of(config, segments, dtype)`` makes the ``attention_mask`` (packs, 1, tokens, tokens) that goes with ``position_ids``
  of ``collate_packed``: booleans for ``sdpa``, numbers that are added to the scores for ``eager``, which with booleans would
  be wrong without a word;
- transformers takes a 4-D mask as it is in every layer, so one for sliding windows has to hold the window: where all layers
  slide, that mask; where some do (``config.layer_types``), a dictionary of both;
- ``flash_attention_2`` and FlexAttention: the one long row of ``collate_flat``, no mask at all. transformers tells rows apart
  by its positions there, but only with ``use_cache=False``: with a cache it sees one long row.
Models that mix tokens otherwise than by attention (state spaces, convolutions) cannot be packed.

Source: Krell et al. 2021, Efficient sequence packing without cross-contamination; Johnson 1973 (first fit decreasing needs at
most 11/9 of the fewest packs, and 4 more). When: rows much shorter than the longest, on a device that short batches
leave idle. When not: rows of one length; small networks on a processor, where batches of rows of one length are faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tunewright.core.errors import UserError
from tunewright.datasets.ragged import IGNORED
from tunewright.modalities.language.causal import Encoded

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def pack(lengths: np.ndarray, max_length: int, *, seed: int, epoch: int) -> list[np.ndarray]:
    """Row indices of each pack of at most ``max_length`` tokens, every row once, by first fit decreasing.

    Rows of one length come in an order that follows from seed and epoch, and so do the packs.
    """
    if len(lengths) and int(lengths.max()) > max_length:
        raise UserError(
            f"a row of {int(lengths.max())} tokens is longer than a pack of {max_length}",
            expected="rows cut to the pack's length",
        )
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths))
    order = order[np.argsort(-lengths[order], kind="stable")]
    rooms = _Rooms(len(lengths), max_length)
    packs: list[list[int]] = []
    for row in order.tolist():
        place = rooms.take(int(lengths[row]))
        if place == len(packs):
            packs.append([])
        packs[place].append(row)
    return [np.array(packs[place]) for place in generator.permutation(len(packs))]


class _Rooms:
    """What is free in each pack, as a tree of maxima, so that the first pack with room is found in log(packs) steps."""

    def __init__(self, packs: int, size: int) -> None:
        self._leaves = 1 << max(0, (packs - 1).bit_length())
        self._free = [size] * (2 * self._leaves)

    def take(self, length: int) -> int:
        """The first pack with room for this length, which it then has no more."""
        free, node = self._free, 1
        while node < self._leaves:
            node = 2 * node if free[2 * node] >= length else 2 * node + 1
        place = node - self._leaves
        free[node] -= length
        while node > 1:
            node //= 2
            free[node] = max(free[2 * node], free[2 * node + 1])
        return place


def collate_packed(encoded: Encoded, packs: Sequence[np.ndarray]) -> dict[str, Tensor]:
    """Packs as a batch: input_ids, position_ids, segments and labels (packs, tokens), and the mask of ``block_causal``.

    ``segments`` counts the rows of a pack from 1 and is 0 for padding, on the right. A row's first token has no label, since
    what stands before it is another row.
    """
    import torch

    width = max(int(encoded.lengths[pack].sum()) for pack in packs)
    out = {
        "input_ids": np.full((len(packs), width), encoded.pad_id, dtype=np.int64),
        "position_ids": np.zeros((len(packs), width), dtype=np.int64),
        "segments": np.zeros((len(packs), width), dtype=np.int64),
        "labels": np.full((len(packs), width), IGNORED, dtype=np.int64),
    }
    for number, rows in enumerate(packs):
        for name, values in _joined(encoded, rows).items():
            out[name][number, : len(values)] = values
    batch = {name: torch.from_numpy(values) for name, values in out.items()}
    batch["attention_mask"] = block_causal(batch["segments"])
    return batch


def collate_flat(encoded: Encoded, rows: np.ndarray) -> dict[str, Any]:
    """Rows as one without padding: input_ids, position_ids, segments, labels (1, tokens), and where each row begins and ends.

    ``cu_seq_lens_q`` and ``cu_seq_lens_k`` (rows + 1,) int32 and ``max_length_q`` and ``max_length_k`` are what attention of
    variable length takes.
    """
    import torch

    batch: dict[str, Any] = {name: torch.from_numpy(values)[None] for name, values in _joined(encoded, rows).items()}
    lengths = encoded.lengths[rows]
    bounds = torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    longest = int(lengths.max())
    return batch | {"cu_seq_lens_q": bounds, "cu_seq_lens_k": bounds, "max_length_q": longest, "max_length_k": longest}


def _joined(encoded: Encoded, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Some rows behind one another, each (tokens,) int64."""
    some = encoded.subset(rows)
    labels = np.where(some.learn == 1, some.ids, IGNORED)
    labels[some.starts[some.lengths > 0]] = IGNORED
    return {
        "input_ids": some.ids.astype(np.int64),
        "position_ids": np.arange(len(some.ids)) - np.repeat(some.starts, some.lengths),
        "segments": np.repeat(np.arange(1, len(some) + 1), some.lengths),
        "labels": labels.astype(np.int64),
    }


def block_causal(segments: Tensor, *, window: int | None = None) -> Tensor:
    """(packs, tokens) -> (packs, 1, tokens, tokens), True where a token may look: at earlier ones of its row and at itself.

    ``window``: it looks at so many at most, itself among them. Padding, segment 0, looks at itself alone.
    """
    import torch

    places = torch.arange(segments.shape[-1], device=segments.device)
    back = places[:, None] - places[None, :]
    sees = (segments[:, :, None] == segments[:, None, :]) & (segments[:, :, None] > 0) & (back >= 0)
    if window is not None:
        sees &= back < window
    return (sees | (back == 0)).unsqueeze(1)


def masks_of(config: Any, segments: Tensor, dtype: torch.dtype) -> Tensor | dict[str, Tensor]:
    """The ``attention_mask``, or one for each kind of layer, as the model of this transformers configuration wants it.

    ``dtype`` is that of the model's hidden states. Raises ``UserError`` for layers or attention that take no such mask.
    """
    way = getattr(config, "_attn_implementation", "sdpa")
    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or ())
    other = sorted(kinds - {"full_attention", "sliding_attention"})
    if other or way not in ("sdpa", "eager"):
        raise UserError(
            f"a model with {' and '.join(other) or way} takes no mask of its packs",
            expected="attention in every layer, computed by sdpa or eager",
            try_="train without packing",
        )

    def mask(near: int | None) -> Tensor:
        seen = block_causal(segments, window=near)
        return additive(seen, dtype) if way == "eager" else seen

    if len(kinds) == 2:
        return {"full_attention": mask(None), "sliding_attention": mask(window)}
    return mask(None if kinds == {"full_attention"} else window)


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """The same mask as numbers that are added to scores: 0 where a token may look, the lowest number elsewhere."""
    import torch

    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, torch.finfo(dtype).min)
