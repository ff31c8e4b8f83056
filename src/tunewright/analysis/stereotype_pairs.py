"""Pairs of sentences of which one repeats a stereotype, and how likely a language model finds each.

Source: CrowS-Pairs and the score over shared tokens: Nangia et al. 2020, section 3; WinoBias: Zhao et al. 2018, Gender Bias in
Coreference Resolution, section 3. Causal models: the likelihood of the whole sentence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tunewright.analysis.context import AnalysisContext
from tunewright.core.errors import UserError
from tunewright.datasets.ragged import IGNORED
from tunewright.datasets.read import read_table
from tunewright.models.network import Network, evaluation_mode

_TOKENS = 8192  # of a forward pass, with padding (a guess)


@dataclass(frozen=True)
class Pair:
    """Two sentences that differ in few words: ``more`` repeats the stereotype, ``less`` does not."""

    more: str
    less: str
    kind: str


def read_crows_pairs(path: str) -> list[Pair]:
    """The rows of a table with the columns sent_more, sent_less and bias_type."""
    table = read_table(path, "test")
    columns = (table.column(name) for name in ("sent_more", "sent_less", "bias_type"))
    return [Pair(str(more), str(less), str(kind)) for more, less, kind in zip(*columns, strict=True)]


def read_winobias(folder: str) -> list[Pair]:
    """The sentences of a folder's files ``pro_…csv`` beside those of ``anti_…csv`` that differ in one word, a pronoun."""
    found = []
    for file in sorted(Path(folder).glob("pro_*.csv*")):
        other = file.with_name("anti_" + file.name.removeprefix("pro_"))
        if not other.is_file():
            raise UserError(f"{file} has no counterpart", expected=f"a file {other.name} beside it")
        sides = [read_table(str(path), "test").column("sentence") for path in (file, other)]
        kind = file.name.removeprefix("pro_").split("_")[0].split(".")[0]
        for more, less in zip(*([re.sub(r"[\[\]]", "", str(text)).strip() for text in side] for side in sides), strict=False):
            words = more.split(), less.split()
            if len(words[0]) == len(words[1]) and sum(a != b for a, b in zip(*words, strict=True)) == 1:
                found.append(Pair(more, less, kind))
    if not found:
        raise UserError(
            f"{folder} has no pairs of WinoBias", expected="files pro_type1_dev.csv and anti_type1_dev.csv, and so on"
        )
    return found


def likelihoods(subject: AnalysisContext, pairs: Sequence[Pair], before: bool) -> np.ndarray:
    """Log-likelihoods of both sentences, (pairs, 2): of the shared tokens where tokens are masked, else of all."""
    network = subject.network(before)
    if network.form.auto == "AutoModelForMaskedLM":
        return pseudo_likelihoods(network, pairs)
    texts = [text for pair in pairs for text in (pair.more, pair.less)]
    nats: np.ndarray = subject.likelihoods(texts, before)[:, 0]
    return -nats.reshape(-1, 2)


def pseudo_likelihoods(network: Network, pairs: Sequence[Pair]) -> np.ndarray:
    """Sums over the tokens that both sentences share, each masked alone, of its log-probability, (pairs, 2)."""
    read = [
        _Masked(2 * place + side, ids, at)
        for place, pair in enumerate(pairs)
        for side, (ids, places) in enumerate(_shared(network, pair))
        for at in places
    ]
    lengths = [len(one.ids) for one in read]
    found = np.zeros(2 * len(pairs))
    for rows in _batches(np.argsort(lengths, kind="stable"), lengths):
        np.add.at(found, [read[row].sentence for row in rows], -_losses(network, [read[row] for row in rows]))
    return found.reshape(-1, 2)


@dataclass(frozen=True)
class _Masked:
    """A sentence of which the token ``at`` is to be told."""

    sentence: int
    ids: tuple[int, ...]
    at: int


def _shared(network: Network, pair: Pair) -> list[tuple[tuple[int, ...], list[int]]]:
    """Both sentences' token ids, and the places of the tokens that they share in their order, special ones left out."""
    longest = network.longest(512)
    made = [
        network.tokenizer(text, truncation=True, max_length=longest, return_special_tokens_mask=True)
        for text in (pair.more, pair.less)
    ]
    ids = [tuple(one["input_ids"]) for one in made]
    blocks = SequenceMatcher(None, ids[0], ids[1], autojunk=False).get_matching_blocks()
    special = made[0]["special_tokens_mask"]
    kept = [(block.a + step, block.b + step) for block in blocks for step in range(block.size) if not special[block.a + step]]
    return [(ids[side], [places[side] for places in kept]) for side in (0, 1)]


def _batches(order: np.ndarray, lengths: Sequence[int]) -> list[list[int]]:
    """Rows of like length in passes of a bounded size."""
    found: list[list[int]] = [[]]
    for row in map(int, order):
        if found[-1] and (len(found[-1]) + 1) * lengths[row] > _TOKENS:
            found.append([])
        found[-1].append(row)
    return [rows for rows in found if rows]


def _losses(network: Network, read: Sequence[_Masked]) -> np.ndarray:
    """Nats of each hidden token, (rows,)."""
    mask = network.tokenizer.mask_token_id
    targets = torch.full((len(read), max(len(one.ids) for one in read)), IGNORED)
    ids = []
    for row, one in enumerate(read):
        targets[row, one.at] = one.ids[one.at]
        ids.append([mask if place == one.at else token for place, token in enumerate(one.ids)])
    with evaluation_mode(network):
        output = network(token_inputs(network, ids))
        losses: np.ndarray = output.losses(targets.to(network.device), shifted=False).sum(1).cpu().numpy()
    return losses


def token_inputs(network: Network, ids: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Rows of token ids, filled up on the right, as the network reads them."""
    width, pad = max(map(len, ids)), network.tokenizer.pad_token_id or 0
    filled = torch.tensor([[*row, *[pad] * (width - len(row))] for row in ids], device=network.device)
    known = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids], device=network.device)
    made = {"input_ids": filled, "attention_mask": known, "token_type_ids": torch.zeros_like(filled)}
    wanted = set(network.reads) & set(network.tokenizer.model_input_names)
    return {name: value for name, value in made.items() if name in wanted}
