"""A network of several kinds: one pre-trained model for each, named as ``image=FOLDER,text=FOLDER``, or a saved folder.

In the saved folder each tower lies in a folder of its own that its library opens; ``config.json`` says how they are joined.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import torch
from torch import nn

from tunewright.core.errors import UserError, unknown
from tunewright.core.files import hash_bytes, read_object, write_json
from tunewright.core.types import Labels
from tunewright.datasets.rows import Rows
from tunewright.modalities.mixed.modality import KINDS, Processor
from tunewright.modalities.table.columns import learn_columns
from tunewright.models import table_loading
from tunewright.models.form import Form
from tunewright.models.loading import load_network
from tunewright.models.mixed import Joined, MixedConfig, MixedNetwork
from tunewright.models.network import Network
from tunewright.models.pooling import Pooling
from tunewright.models.processors import save_processor
from tunewright.models.quiet import quiet_transformers
from tunewright.models.sources import lasting
from tunewright.models.table import load_table_network, save_table_network

SCRATCH = f"text=all-MiniLM-L6-v2,table={table_loading.SCRATCH}"  # what stands for no source

_JOINED = "joined"  # the key of a source that says how towers are joined
_SPREAD = 0.02  # of the new head's values, as text encoders have it (Devlin et al. 2019)
_NOTHING = Labels("embedding")


def learn(names: tuple[str, ...], rows: Rows) -> Processor:
    """What each column is, and what a table's columns hold."""
    kinds: tuple[str, ...] = tuple(kind for kind, _ in rows.inputs[0])
    of_table = tuple(name for name, kind in zip(names, kinds, strict=True) if kind == "table")
    cells = [tuple(value for kind, value in row if kind == "table") for row in rows.inputs]
    return Processor(names, kinds, {"table": learn_columns(of_table, cells, where=rows.where)} if of_table else {})


def models_in(source: str) -> tuple[str, ...]:
    """The pre-trained models that a source names."""
    named = _named(source)
    return tuple(value for key, value in named.items() if key != _JOINED and value != table_loading.SCRATCH)


def load(
    source: str, processor: Processor, labels: Labels, *, form: Form, dropout: float | None = None, seed: int = 0
) -> Network:
    """A tower for each kind of column, with a new head for ``labels``."""
    named = _named(source)
    idle = [kind for kind in named if kind not in (*processor.used, _JOINED)]
    if idle and source != SCRATCH:
        raise UserError(f"the model names a tower for {idle[0]}, and no input column is one", expected=_wanted(processor))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        towers, own, digests = {}, dict(processor.own), []
        pooling: Pooling = "mean"
        longest = 0
        for kind in processor.used:
            tower = _tower(kind, named, processor, dropout, seed)
            towers[kind], own[kind] = tower.inner, tower.processor
            digests.append(f"{kind} {tower.base_hash}".encode())
            if kind == "text":
                pooling, longest = tower.pooling, tower.longest(2**31)
        widths = tuple(_width(tower) for tower in towers.values())
        joined: Any = named.get(_JOINED, "concatenation")
        config = MixedConfig(processor.used, widths, pooling, joined, labels.outputs)
        whole = Processor(processor.names, processor.kinds, own, longest)
        network = _network(MixedNetwork(config, towers), whole, labels, form, (lasting(source), hash_bytes(digests)))
        if network.classifier is not None:
            network.classifier.weight.data.normal_(0.0, _SPREAD)
            network.classifier.bias.data.zero_()
    return network.eval()


def save(network: Network, folder: Path) -> None:
    """Each tower as its own library opens it, in a folder called after its kind."""
    write_json(folder / "config.json", network.inner.config.as_dict())
    for kind, tower in network.inner.towers.items():
        place = folder / kind
        place.mkdir()
        if kind == "table":
            save_table_network(tower, place)
        else:
            with quiet_transformers():
                tower.save_pretrained(str(place))
        save_processor(network.processor.own[kind], place)


def reload(folder: Path, processor: Processor, labels: Labels, *, form: Form, base: tuple[str, str]) -> Network:
    """The trained towers saved in ``folder``; what joins them is the caller's to fill."""
    config = MixedConfig.from_dict(read_object(folder / "config.json"))
    if config.kinds != processor.used or (config.joined == "attention" and config.outputs != labels.outputs):
        raise UserError(f"the network in '{folder}' has other kinds than its description", expected="files of one saved model")
    towers = {
        kind: load_table_network(folder / kind)
        if kind == "table"
        else _pretrained(kind, str(folder / kind), config.pooling).inner
        for kind in config.kinds
    }
    return _network(MixedNetwork(config, towers), processor, labels, form, base).eval()


def _tower(kind: str, named: dict[str, str], processor: Processor, dropout: float | None, seed: int) -> Network:
    """One kind's pre-trained network, without a head."""
    if kind == "table":
        form = Form("table", "TableTransformer")
        source = named.get(kind, table_loading.SCRATCH)
        return table_loading.load(source, processor.own[kind], _NOTHING, form=form, dropout=dropout, seed=seed)
    if kind not in named:
        raise UserError(f"no model is named for the {kind} column", expected=_wanted(processor))
    return _pretrained(kind, named[kind], "auto", dropout)


def _pretrained(kind: str, source: str, pooling: str, dropout: float | None = None) -> Network:
    if kind == "text":
        return load_network(source, _NOTHING, form=Form("pairs", "AutoModel", "vectors"), pooling=pooling, dropout=dropout)
    found = load_network(source, _NOTHING, form=Form(kind, "AutoModel"), dropout=dropout)
    if getattr(found.inner.config, "is_encoder_decoder", False):
        raise UserError(f"'{source}' has a decoder, which gives no vector of a {kind}", expected="an encoder: wav2vec 2.0, AST")
    pooler = getattr(found.inner, "pooler", None)
    if isinstance(pooler, nn.Module) and next(pooler.parameters(), None) is not None:
        found.inner.pooler = None  # places are pooled here: it would be computed for nothing
    return found


def _named(source: str) -> dict[str, str]:
    """Model by kind of a source, and how they are joined."""
    found: dict[str, str] = {}
    for part in source.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value or key in found:
            raise UserError(
                f"the model is '{source}'",
                expected="a model for each kind of column",
                try_="--model image=FOLDER,text=all-MiniLM-L6-v2",
            )
        if key not in (*KINDS, _JOINED):
            raise unknown("kind", key, (*KINDS, _JOINED))
        found[key] = value
    if found.get(_JOINED, "concatenation") not in get_args(Joined):
        raise unknown("way to join", found[_JOINED], get_args(Joined))
    return found


def _wanted(processor: Processor) -> str:
    return "--model " + ",".join(f"{kind}=MODEL" for kind in processor.used)


def _width(tower: Any) -> int:
    """Width of a tower's vectors; of stages, that of the last."""
    config = tower.config
    width = getattr(config, "hidden_size", None)
    found: int = width if isinstance(width, int) else config.hidden_sizes[-1]
    return found


def _network(inner: MixedNetwork, processor: Processor, labels: Labels, form: Form, base: tuple[str, str]) -> Network:
    new = () if inner.joining is None else tuple(f"joining.{name}" for name, _ in inner.joining.named_parameters())
    pooling: Pooling = "cls" if inner.joining is None else "native"
    return Network(
        inner, pooling=pooling, processor=processor, labels=labels, form=form, base=base[0], base_hash=base[1], new=new
    )
