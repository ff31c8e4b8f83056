"""A table network for a user's own columns: blocks from a pre-trained one or from random values, columns always new.

When: tables. When not: texts, images and sounds, whose networks are transformers' (loading.py).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from tunewright.core.errors import UserError
from tunewright.core.files import bytes_of, hash_bytes
from tunewright.core.types import Labels
from tunewright.datasets.rows import Rows
from tunewright.modalities.table.columns import Columns, learn_columns
from tunewright.models.form import Form
from tunewright.models.network import Network
from tunewright.models.sources import find_model, hash_weights, lasting
from tunewright.models.table import (
    TableBlock,
    TableConfig,
    TableTransformer,
    load_table_network,
    save_table_network,
    with_other_columns,
)

SCRATCH = "table-transformer"  # the source that stands for blocks of random values

_SPREAD = 0.02  # of the new head's values, as text encoders have it (Devlin et al. 2019)


def learn(names: tuple[str, ...], rows: Rows) -> Columns:
    """What each column of the training rows is."""
    return learn_columns(names, rows.inputs, where=rows.where)


def load(source: str, processor: Columns, labels: Labels, *, form: Form, dropout: float | None = None, seed: int = 0) -> Network:
    """The network named ``source`` with a new tokenizer for the columns and a new head for ``labels``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if source == SCRATCH:
            inner = TableTransformer(TableConfig(len(processor.numbers), processor.sizes))
            digest = hash_bytes(part for name, value in inner.state_dict().items() for part in (name.encode(), bytes_of(value)))
        else:
            source = lasting(source)
            folder = find_model(source)
            inner = with_other_columns(load_table_network(folder), len(processor.numbers), processor.sizes)
            digest = hash_weights(folder)
        if dropout is not None:
            _set_dropout(inner, dropout)
        network = _network(inner, processor, labels, form, (source, digest))
        assert network.classifier is not None
        network.classifier.weight.data.normal_(0.0, _SPREAD)
        network.classifier.bias.data.zero_()
    return network.eval()


def save(network: Network, folder: Path) -> None:
    """All weights of the inner network."""
    save_table_network(network.inner, folder)


def reload(folder: Path, processor: Columns, labels: Labels, *, form: Form, base: tuple[str, str]) -> Network:
    """The trained network saved in ``folder``; its head is the caller's to fill."""
    inner = load_table_network(folder)
    if (inner.config.numbers, inner.config.categories) != (len(processor.numbers), processor.sizes):
        raise UserError(f"the network in '{folder}' has other columns than its description", expected="files of one saved model")
    return _network(inner, processor, labels, form, base).eval()


def _network(inner: TableTransformer, columns: Columns, labels: Labels, form: Form, base: tuple[str, str]) -> Network:
    return Network(inner, pooling="cls", processor=columns, labels=labels, form=form, base=base[0], base_hash=base[1], new=())


def _set_dropout(inner: TableTransformer, dropout: float) -> None:
    for module in inner.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
    for block in inner.blocks:
        assert isinstance(block, TableBlock)
        block.attention_dropout = dropout
