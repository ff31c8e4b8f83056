"""Two towers as a network: for the users and items of the training rows, with what items' texts say, or from a saved folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from tunewright.core.errors import UserError
from tunewright.core.files import bytes_of, hash_bytes
from tunewright.core.types import Labels
from tunewright.datasets.rows import Rows
from tunewright.modalities.interactions.catalogue import Catalogue, learn_catalogue
from tunewright.modalities.text.modality import encode_texts
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.network import Network
from tunewright.models.sources import lasting
from tunewright.models.two_tower import TwoTower, TwoTowerConfig, load_two_tower, save_two_tower

SCRATCH = "two-towers"  # the source that stands for embeddings of random values

_TOKENS, _ROWS = 64, 64  # of an item's text that are read, and texts at once (guesses)


def learn(names: tuple[str, ...], rows: Rows) -> Catalogue:
    """Users, items and histories of the training rows."""
    return learn_catalogue(rows.inputs)


def load(
    source: str, processor: Catalogue, labels: Labels, *, form: Form, dropout: float | None = None, seed: int = 0
) -> Network:
    """New towers; items with a text also read its vector by the frozen encoder named ``source``."""
    if source != SCRATCH and not processor.texts:
        raise UserError(
            f"two towers read '{source}' for the texts of items alone, and these rows have none",
            expected="a third input column: data.input: [user, item, text]",
        )
    features = _read(source, processor.texts) if processor.texts else None
    width = 0 if features is None else features.shape[1]
    config = TwoTowerConfig(len(processor.users) + 1, len(processor.items) + 1, width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inner = TwoTower(config, features)
    if dropout is not None:
        for module in inner.modules():
            if isinstance(module, nn.Dropout):
                module.p = dropout
    digest = hash_bytes(part for name, value in inner.state_dict().items() for part in (name.encode(), bytes_of(value)))
    return _network(inner, processor, labels, form, (source if source == SCRATCH else lasting(source), digest))


def reload(folder: Path, processor: Catalogue, labels: Labels, *, form: Form, base: tuple[str, str]) -> Network:
    """The trained towers saved in ``folder``."""
    inner = load_two_tower(folder)
    if (inner.config.users, inner.config.items) != (len(processor.users) + 1, len(processor.items) + 1):
        raise UserError(
            f"the towers in '{folder}' have other users and items than their catalogue", expected="files of one model"
        )
    return _network(inner, processor, labels, form, base)


def save(network: Network, folder: Path) -> None:
    """All weights, the items' features among them."""
    save_two_tower(network.inner, folder)


def _network(inner: TwoTower, catalogue: Catalogue, labels: Labels, form: Form, base: tuple[str, str]) -> Network:
    made = Network(
        inner, pooling="native", processor=catalogue, labels=labels, form=form, base=base[0], base_hash=base[1], new=()
    )
    return made.eval()


def _read(source: str, texts: tuple[str, ...]) -> np.ndarray:
    """Vectors of the items' texts, (1 + items, width), of length one; zeros for place 0."""
    encoder = load_network(source, Labels("embedding"), form=Form("pairs", "AutoModel", "vectors"))
    encoded = encode_texts(encoder.tokenizer, [(text,) for text in texts], encoder.longest(_TOKENS))
    order = np.argsort(encoded.lengths, kind="stable")
    found = np.zeros((1 + len(texts), encoder.inner.config.hidden_size), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), _ROWS):
            rows = order[start : start + _ROWS]
            inputs = encoded.collate(rows)
            found[1 + rows] = encoder({name: value for name, value in inputs.items() if name in encoder.reads}).numpy()
    return found
