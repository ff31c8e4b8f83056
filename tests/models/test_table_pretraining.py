"""Exchanged cells are what they are said to be, the losses are their formulas, and several tables teach one set of blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from tunewright.core.errors import UserError
from tunewright.models.table import TableConfig, TableTransformer
from tunewright.models.table_pretraining import (
    Cells,
    CellsHead,
    PretrainingSettings,
    exchange_cells,
    networks_sharing_blocks,
    pretrain,
    pretraining_losses,
)

SHAPE = TableConfig(numbers=1, width=16, blocks=2, heads=2, attention_dropout=0.0, ffn_dropout=0.0)


def related(rows: int = 64, seed: int = 0) -> Cells:
    """Two numbers and a category that all say the same, so that an exchanged cell stands out."""
    generator = np.random.default_rng(seed)
    place = generator.integers(0, 3, rows)
    numbers = np.stack([place - 1.0, 1.0 - place], 1).astype(np.float32)
    numbers += generator.normal(0, 0.05, numbers.shape).astype(np.float32)
    missing = generator.random(numbers.shape) < 0.1
    known = torch.from_numpy(np.where(missing, np.float32(0), numbers))
    return Cells(known, torch.from_numpy(missing), torch.from_numpy(place)[:, None])


def test_exchanged_cells_come_from_the_same_column_and_are_marked() -> None:
    before = related(200)
    after, exchanged = exchange_cells(before, 0.3, torch.Generator().manual_seed(1))
    assert exchanged.shape == (200, 3)
    changed = (after.numbers != before.numbers) | (after.missing != before.missing)
    assert torch.equal(exchanged[:, :2], changed)
    assert torch.equal(exchanged[:, 2:], after.categories != before.categories)
    assert 0.22 < exchanged[:, :2].float().mean() < 0.32  # two thirds of exchanged categories meet another value
    assert 0.12 < exchanged[:, 2:].float().mean() < 0.28
    for column in range(2):
        known = set(zip(before.numbers[:, column].tolist(), before.missing[:, column].tolist(), strict=True))
        assert set(zip(after.numbers[:, column].tolist(), after.missing[:, column].tolist(), strict=True)) <= known
    again, _ = exchange_cells(before, 0.3, torch.Generator().manual_seed(1))
    assert torch.equal(again.numbers, after.numbers)


def test_losses_are_their_formulas() -> None:
    torch.manual_seed(0)
    config = TableConfig(numbers=2, categories=(3, 2), width=16, blocks=1, heads=2)
    network, head = TableTransformer(config).eval(), CellsHead(config, nn.Linear(16, 1))
    numbers, missing = torch.randn(6, 2), torch.zeros(6, 2, dtype=torch.bool)
    missing[0, 0] = True
    before = Cells(numbers.masked_fill(missing, 0.0), missing, torch.stack([torch.arange(6) % 3, torch.arange(6) % 2], 1))
    after, exchanged = exchange_cells(before, 0.5, torch.Generator().manual_seed(2))
    found = pretraining_losses(network, head, before, after, exchanged)

    tokens = network(after.numbers, after.missing, after.categories).last_hidden_state
    odds = torch.sigmoid(tokens[:, 1:] @ head.detect.weight[0] + head.detect.bias)
    chance = torch.where(exchanged, odds, 1 - odds)
    torch.testing.assert_close(found.detecting, -chance.log().mean())
    columns = []
    for column in range(2):
        restored = tokens[:, 1 + column] @ head.directions[column] + head.number_bias[column]
        known = ~missing[:, column]
        columns.append(((restored - numbers[:, column])[known] ** 2).mean())
    assert network.tokenizer.embeddings is not None
    for column, (start, size) in enumerate([(0, 3), (3, 2)]):
        places = slice(start, start + size)
        logits = tokens[:, 3 + column] @ network.tokenizer.embeddings.weight[places].T + head.place_bias[places]
        columns.append(functional.nll_loss(logits.log_softmax(-1), before.categories[:, column]) / math.log(size))
    torch.testing.assert_close(found.restoring, torch.stack(columns).mean())


def test_two_tables_of_other_columns_teach_the_same_blocks() -> None:
    torch.manual_seed(0)
    first = related()
    second = Cells(first.numbers[:, :1], first.missing[:, :1], first.categories.repeat(1, 2))
    tables = {"first": first, "second": second}
    networks = networks_sharing_blocks({"first": (2, (3,)), "second": (1, (3, 3))}, SHAPE)
    assert networks["first"].blocks is networks["second"].blocks
    assert networks["first"].tokenizer.cls is networks["second"].tokenizer.cls
    assert networks["first"].tokenizer.bias is not networks["second"].tokenizer.bias
    before = {name: tensor.clone() for name, tensor in networks["first"].blocks.state_dict().items()}
    history = pretrain(tables, networks, PretrainingSettings(steps=300, batch_size=32, rate=3e-3), seed=0)
    assert [line["step"] for line in history] == [0, 50, 100, 150, 200, 250, 299]
    assert history[-1]["detecting"] < 0.7 * history[0]["detecting"]
    assert history[-1]["restoring"] < 0.3 * history[0]["restoring"]
    assert any(not torch.equal(tensor, before[name]) for name, tensor in networks["second"].blocks.state_dict().items())
    assert not networks["first"].training


def test_a_seed_gives_the_same_weights_and_leaves_torchs_generator_alone() -> None:
    def trained(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        networks = networks_sharing_blocks({"t": (2, (3,))}, SHAPE)
        state = torch.get_rng_state()
        pretrain({"t": related()}, networks, PretrainingSettings(steps=5, batch_size=16), seed)
        assert torch.equal(torch.get_rng_state(), state)
        return networks["t"].state_dict()

    first, again, other = trained(0), trained(0), trained(1)
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    assert any(not torch.equal(tensor, other[name]) for name, tensor in first.items())


def test_what_cannot_be_trained_is_refused() -> None:
    networks = networks_sharing_blocks({"t": (2, (3,))}, SHAPE)
    settings = PretrainingSettings(steps=1, batch_size=8)
    with pytest.raises(UserError, match="a network for each table"):
        pretrain({"u": related()}, networks, settings, 0)
    with pytest.raises(UserError, match="'t' has 1 rows"):
        pretrain({"t": related().rows(torch.tensor([0]))}, networks, settings, 0)
    broken = related()
    broken.numbers[:] = float("inf")
    with pytest.raises(UserError, match="the pre-training loss of 't' is"):
        pretrain({"t": broken}, networks, settings, 0)
    with pytest.raises(UserError, match="cannot be used"):
        PretrainingSettings(exchanged=0.0)
