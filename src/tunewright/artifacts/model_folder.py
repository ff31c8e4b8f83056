"""The saved model: a folder that others' tools open as it is, and that says everything needed to open it here.

Five forms, named in ``tunewright.json`` as ``opens_with``:
- *transformers*: all weights, as AutoModelForSequenceClassification reads them; our own mean pooling is written as one
  more block where the encoder allows it (``models/pooling_layer.py``).
- *sentence-transformers*: all weights of an encoder with our pooling that has no such class.
- *peft*: an adapter beside the hash of its base model.
- *tunewright*: an adapter of a kind that no other library has, or of a Python module.
- *module*: all tensors of a Python module, which has to be given again.
- *tunewright-network*: all weights of a network of our own (``models/from_scratch.py``).
Every file's SHA-256 is kept, so that a damaged or exchanged file is refused by name.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tunewright.artifacts.outside import BASE_CONFIG
from tunewright.artifacts.sentence_transformers_folder import write_sentence_modules
from tunewright.core.errors import UserError
from tunewright.core.files import hash_file, read_json, read_tensors, sync_folder, write_json, write_tensors
from tunewright.core.paths import leads_out
from tunewright.core.types import Applied, GroupThresholds, Labels
from tunewright.datasets.groups import MISSING
from tunewright.models.folder_checks import refuse_links_out
from tunewright.models.form import Form
from tunewright.models.from_scratch import loading_of
from tunewright.models.loading import load_network, reload_network
from tunewright.models.network import Network
from tunewright.models.peft_format import is_only_ours, load_adapter, write_adapter
from tunewright.models.pooling import METADATA, Pooling
from tunewright.models.pooling_layer import to_sequence_classifier
from tunewright.models.processors import load_processor, save_processor
from tunewright.models.quiet import quiet_transformers
from tunewright.models.sources import find_model, hash_weights
from tunewright.models.speech import with_words
from tunewright.models.torch_module import FORM, Backbone, missing_module, plain_network

HEAD_FILE = "head.safetensors"
MODULE_FILE = "module.safetensors"  # all tensors of a Python module
OpensWith = Literal["transformers", "sentence-transformers", "peft", "tunewright", "tunewright-network", "module"]


class Base(BaseModel):
    """What the model was trained from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    revision: str | None
    sha256: str


class Metadata(BaseModel):
    """The content of ``tunewright.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    version: Literal[1] = 1
    opens_with: OpensWith
    labels: dict[str, Any]
    head: str
    head_settings: dict[str, Any]
    head_parameters: tuple[str, ...]
    method: str
    settings: dict[str, Any]
    pooling: Pooling
    appended_layer: bool
    form: dict[str, Any]
    base: Base
    max_length: int = Field(ge=1)
    rows: dict[str, Any] = Field(alias="schema")
    sha256: dict[str, str]


@dataclass(frozen=True)
class Loaded:
    """A trained model, ready to predict, and what its inputs and outputs mean."""

    network: Network
    labels: Labels
    head: str
    head_settings: dict[str, Any]
    max_length: int
    schema: dict[str, Any]
    method: str


def save_model(
    folder: Path,
    network: Network,
    method: str,
    settings: dict[str, Any],
    applied: Applied,
    *,
    head: str,
    head_settings: dict[str, Any],
    max_length: int,
    schema: dict[str, Any],
) -> None:
    """Write the trained network as ``folder``, whole or not at all; a folder that was there is replaced."""
    with _replaced(folder) as new:
        opens_with, appended = _write_network(new, network, applied, method)
        save_processor(network.processor, new)
        metadata = Metadata(
            opens_with=opens_with,
            labels=network.labels.as_dict(),
            head=head,
            head_settings=head_settings,
            head_parameters=network.head_names,
            method=method,
            settings=settings,
            pooling=network.pooling,
            appended_layer=appended,
            form=asdict(network.form),
            base=Base(source=network.base, revision=network.revision, sha256=network.base_hash),
            max_length=max_length,
            rows=schema,
            sha256={path.relative_to(new).as_posix(): hash_file(path) for path in sorted(new.rglob("*")) if path.is_file()},
        )
        write_json(new / METADATA, metadata.model_dump(mode="json", by_alias=True))


def load_model(folder: Path, backbone: Backbone | None = None) -> Loaded:
    """Open a saved model on the processor; UserError names the file that is missing, damaged or does not fit.

    ``backbone`` is the Python module that it was trained from, where it was one.
    """
    metadata = read_metadata(folder)
    _refuse_unlisted(folder, metadata)
    seen = _states(folder, metadata)
    for name, digest in metadata.sha256.items():
        if not (folder / name).is_file():
            raise UserError(f"the saved model '{folder}' lacks its file '{name}'", expected="all files that were saved")
        if hash_file(folder / name) != digest:
            raise UserError(f"the file '{name}' of the saved model '{folder}' is not the one that was saved (its hash differs)")
    labels = read_labels(metadata)
    if metadata.form["auto"] == FORM.auto:
        network = _load_module(folder, metadata, labels, backbone)
    elif metadata.opens_with in ("peft", "tunewright"):
        network = _load_adapted(folder, metadata, labels)
    else:
        network = _load_whole(folder, metadata, labels)
    if _states(folder, metadata) != seen:
        raise UserError(f"the saved model '{folder}' changed while it was opened", try_="open it when nothing writes there")
    return Loaded(
        network.eval(), labels, metadata.head, metadata.head_settings, metadata.max_length, metadata.rows, metadata.method
    )


def _refuse_unlisted(folder: Path, metadata: Metadata) -> None:
    """Refuse names that lead out of the folder, links that do, and files that a loader would read and whose hash nobody kept."""
    for name in metadata.sha256:
        if leads_out(name):
            raise UserError(f"{folder / METADATA} lists the file '{name[:200]}'", expected="files below the model's own folder")
    refuse_links_out(folder)
    found = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in (".json", ".safetensors", ".jinja")
    }
    strange = sorted(found - set(metadata.sha256) - {METADATA})
    if strange:
        raise UserError(
            f"the saved model '{folder}' holds '{strange[0]}', which was not saved with it", expected="the files that were saved"
        )


def _states(folder: Path, metadata: Metadata) -> list[tuple[int, ...]]:
    """What changes of a file when another takes its place."""
    try:
        return [
            (one.st_ino, one.st_size, one.st_mtime_ns) for one in ((folder / name).stat() for name in sorted(metadata.sha256))
        ]
    except OSError:
        return []


def read_metadata(folder: Path) -> Metadata:
    """What ``tunewright.json`` says."""
    try:
        return Metadata.model_validate(read_json(folder / METADATA))
    except ValidationError as error:
        raise UserError(f"{folder / METADATA} cannot be used: {_first(error)}", expected="a model saved by tunewright") from None


def _first(error: ValidationError) -> str:
    """The first thing that does not fit, and where."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def read_labels(metadata: Metadata) -> Labels:
    """What the outputs mean; names that are not distinct are refused."""
    try:
        labels = TypeAdapter(Labels).validate_python(metadata.labels)
    except ValidationError as error:
        raise UserError(f"the labels in {METADATA} cannot be used: {_first(error)}") from None
    if labels.thresholds and (len(labels.thresholds) != len(labels.names) or not all(0 <= at <= 1 for at in labels.thresholds)):
        raise UserError(f"the thresholds in {METADATA} are {labels.thresholds}", expected="a probability for each label")
    if labels.costs and (len(labels.costs) != len(labels.names) or not all(0 < cost < math.inf for cost in labels.costs)):
        raise UserError(f"the costs in {METADATA} are {labels.costs}", expected="a number above 0 for each label")
    if not 0 < labels.temperature < math.inf or (labels.isotonic and not _are_curves(labels)):
        raise UserError(
            f"the scaling of probabilities in {METADATA} cannot be used", expected="a temperature, or a curve for each label"
        )
    if labels.groups is not None and not _are_groups(labels, labels.groups):
        raise UserError(f"the thresholds by group in {METADATA} cannot be used", expected="a probability for each group")
    if len(set(labels.names)) != len(labels.names) or labels.outputs < 1:
        raise UserError(f"the labels in {METADATA} are not distinct names: {', '.join(map(str, labels.names)) or 'none'}")
    return labels


def _are_groups(labels: Labels, groups: GroupThresholds) -> bool:
    """Whether there is a threshold for each group, of one of two classes; of numbers, a group between any two edges."""
    parts, edges = len([name for name in groups.names if name != MISSING]), groups.edges
    return (
        labels.task == "classification"
        and len(labels.names) == 2
        and groups.given in (0, 1)
        and len(set(groups.names)) == len(groups.names) == len(groups.thresholds) > 0
        and all(0 <= at <= 1 for at in groups.thresholds)
        and all(low < high for low, high in pairwise(edges))
        and (not edges or (parts == len(edges) + 1 and all(math.isfinite(edge) for edge in edges)))
    )


def _are_curves(labels: Labels) -> bool:
    """Whether there is a curve for each label, along which both coordinates rise within 0 and 1."""
    rising = all(
        curve and all(0 <= a[at] <= b[at] <= 1 for a, b in zip(curve, curve[1:] or curve, strict=False) for at in (0, 1))
        for curve in labels.isotonic
    )
    return rising and len(labels.isotonic) == len(labels.names)


def form_of(metadata: Metadata) -> Form:
    """How the saved network is loaded and read; a class that is not transformers' own is refused."""
    try:
        form = TypeAdapter(Form).validate_python(metadata.form)
    except ValidationError as error:
        raise UserError(f"the form in {METADATA} cannot be used: {_first(error)}") from None
    if not re.fullmatch(r"AutoModel(For\w+)?|TableTransformer|TwoTower|MixedNetwork|module", form.auto):
        raise UserError(f"the form in {METADATA} names the class '{form.auto}'", expected="an auto class of transformers")
    return form


def _write_network(folder: Path, network: Network, applied: Applied, method: str) -> tuple[OpensWith, bool]:
    """Write the weights; returns what opens them, and whether the mean was written as a block."""
    own = loading_of(network.form.kind)
    if own is not None:
        if applied.merge is not None:
            applied.merge()
        own.save(network, folder)
        write_tensors(folder / HEAD_FILE, {name: network.get_parameter(name) for name in network.head_names})
        return "tunewright-network", False
    if applied.adapter_config is not None:
        write_adapter(folder, network, applied)
        _write_base_config(folder / BASE_CONFIG, network)
        ours = is_only_ours(applied.adapter_config, method) or network.form.auto == FORM.auto
        return "tunewright" if ours else "peft", False
    if network.form.auto == FORM.auto:
        write_tensors(folder / MODULE_FILE, network.inner.state_dict())
        return "module", False
    classifier = network.inner if network.pooling == "native" else None
    if network.pooling != "native" and network.classifier is not None:
        classifier = to_sequence_classifier(network)
    with quiet_transformers():
        (network.inner if classifier is None else classifier).save_pretrained(str(folder))
    if network.classifier is not None:
        write_tensors(folder / HEAD_FILE, {name: network.get_parameter(name) for name in network.head_names})
    if classifier is None:
        write_sentence_modules(folder, network)
    return "sentence-transformers" if classifier is None else "transformers", classifier not in (None, network.inner)


def _write_base_config(folder: Path, network: Network) -> None:
    """The configuration of the base model with the labels that were learnt, as AutoConfig reads it.

    In a folder of its own: a config.json beside an adapter would be taken by transformers for that of a whole model.
    """
    if network.form.auto == FORM.auto:
        return
    config = json.loads(network.inner.config.to_json_string())
    config.pop("quantization_config", None)
    folder.mkdir()
    write_json(folder / "config.json", config | {"architectures": [type(network.inner).__name__]})


def _load_whole(folder: Path, metadata: Metadata, labels: Labels) -> Network:
    network: Network
    base = metadata.base
    if metadata.opens_with == "tunewright-network":
        form = form_of(metadata)
        own = loading_of(form.kind)
        if own is None:
            raise UserError(f"{folder / METADATA} cannot be used: no network of ours reads {form.kind}")
        network = own.reload(folder, load_processor(folder, form.kind, None), labels, form=form, base=(base.source, base.sha256))
        _fill_head(network, folder / HEAD_FILE)
        return network
    network = reload_network(
        folder,
        labels,
        form=form_of(metadata),
        pooling=metadata.pooling,
        head_names=metadata.head_parameters,
        base=(base.source, base.sha256, base.revision),
    )
    if network.classifier is not None:
        _fill_head(network, folder / HEAD_FILE)
    return network


def _load_module(folder: Path, metadata: Metadata, labels: Labels, backbone: Backbone | None) -> Network:
    """The module that was given again, with what was trained of it."""
    if backbone is None:
        raise missing_module(f"the model in '{folder}'")
    network = plain_network(backbone, labels)
    network.processor = load_processor(folder, network.form.kind, network.inner.config)
    if metadata.opens_with == "tunewright":
        if network.base_hash != metadata.base.sha256:
            raise UserError(
                f"the module is not the one that '{folder}' was trained on (its weights' hash differs)",
                expected=f"weights with the hash {metadata.base.sha256[:12]}…",
            )
        load_adapter(network, folder, metadata.method)
        return network
    saved, own = read_tensors(folder / MODULE_FILE), network.inner.state_dict()
    wrong = sorted(set(saved) ^ set(own)) or [name for name, value in own.items() if value.shape != saved[name].shape]
    if wrong:
        raise UserError(f"the module is not built like the one in '{folder}': '{wrong[0]}' differs", expected="the same class")
    network.inner.load_state_dict(saved)
    return network


def _fill_head(network: Network, path: Path) -> None:
    tensors = read_tensors(path)
    for name in network.head_names:
        value, parameter = tensors.get(name), network.get_parameter(name)
        if value is None or value.shape != parameter.shape or not torch.isfinite(value).all():
            raise UserError(f"{path} holds no usable '{name}'", expected=f"finite values of shape {tuple(parameter.shape)}")
        with torch.no_grad():
            parameter.copy_(value)


def _load_adapted(folder: Path, metadata: Metadata, labels: Labels) -> Network:
    base = metadata.base
    if hash_weights(find_model(base.source, base.revision)) != base.sha256:
        raise UserError(
            f"the base model '{base.source}' is not the one that '{folder}' was trained on (its weights' hash differs)",
            expected=f"weights with the hash {base.sha256[:12]}…",
            try_="the same revision of the base model",
        )
    network = load_network(base.source, labels, form=form_of(metadata), pooling=metadata.pooling, revision=base.revision)
    load_adapter(network, folder, metadata.method)
    network.processor = load_processor(folder, network.form.kind, network.inner.config)
    network.processor = with_words(folder, network.processor, network.form, network.inner.config, labels)
    return network


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """A new folder beside ``folder`` that takes its place when everything in it is on the disk."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    new.mkdir()  # with the mode that the umask leaves
    old = new.with_name(f"{new.name}.old")
    try:
        yield new
        for path in [*new.rglob("*"), new]:
            _sync(path)
        if folder.exists():
            folder.replace(old)
        new.replace(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
