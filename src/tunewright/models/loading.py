"""Strict loading: every pre-trained tensor arrives, only the new head is initialized, nothing of a config runs."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from copy import deepcopy
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from tunewright.core.errors import UserError
from tunewright.core.types import Labels
from tunewright.modalities.processor_files import first_line
from tunewright.models.config import read_config
from tunewright.models.declared_size import refuse_size, without_values
from tunewright.models.dual_encoder import refuse_other
from tunewright.models.fewer_blocks import keep_blocks
from tunewright.models.folder_checks import declared_tensors
from tunewright.models.form import CLASSIFY_TEXT, Form
from tunewright.models.network import Network
from tunewright.models.pooling import Pooling, declared_pooling, has_pooling_block
from tunewright.models.processors import ensure_padding, is_tokenized, load_processor
from tunewright.models.quantized import four_bits
from tunewright.models.quiet import quiet_transformers
from tunewright.models.sources import find_model, hash_weights, lasting
from tunewright.models.speech import alphabet_of, with_words
from tunewright.models.stack import block_lists

# transformers names classes with a head by what they are for; RoFormer is no such name.
_WITH_HEAD = re.compile(r"For[A-Z]")


def load_network(
    source: str,
    labels: Labels,
    *,
    form: Form = CLASSIFY_TEXT,
    pooling: str = "auto",
    revision: str | None = None,
    dropout: float | None = None,
    blocks: tuple[int, ...] | None = None,
    quantize: str = "none",
    seed: int = 0,
) -> Network:
    """The pre-trained model named ``source`` in the form of a task, for ``labels``, in float32 and evaluation mode.

    A new head's initial values depend on ``seed`` alone. Raises UserError where a pre-trained tensor is missing,
    unexpected or not finite. ``blocks``: those that are kept, None for all.
    """
    folder = find_model(source, revision)
    chosen = _pooling(folder, form, pooling)
    config = read_config(folder, dropout)
    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        inner, absent = _load_inner(folder, config, labels, chosen, form, four_bits() if quantize == "4bit" else {})
        if blocks is not None:
            keep_blocks(inner, blocks)
        new = _new_parameters(inner, absent, form)
        kept = set() if form.head_is_new else set(new) - absent
        _check_finite(inner, set(new) - kept, folder)
        network = _network(inner, folder, labels, chosen, form, new, (lasting(source), hash_weights(folder), revision))
        torch.manual_seed(seed)
        _initialize_head(network, float(getattr(config, "initializer_range", 0.02) or 0.02), {f"inner.{name}" for name in kept})
    return network.eval()


def reload_network(
    folder: Path,
    labels: Labels,
    *,
    form: Form = CLASSIFY_TEXT,
    pooling: Pooling,
    head_names: tuple[str, ...],
    base: tuple[str, str, str | None],
) -> Network:
    """The trained network whose inner model was saved in ``folder``: nothing in it may be missing.

    ``base`` is what it was trained from: source, hash, revision. Our own last linear layer is the caller's to fill.
    """
    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        inner, absent = _load_inner(folder, read_config(folder), labels, pooling, form)
        inside = tuple(name.removeprefix("inner.") for name in head_names if name.startswith("inner."))
        lost = sorted(absent) or sorted(set(inside) - {name for name, _ in inner.named_parameters()})
        if lost:
            raise UserError(f"the saved model in '{folder}' lacks '{lost[0]}'", expected="a whole model")
        _check_finite(inner, set(), folder)
        return _network(inner, folder, labels, pooling, form, inside, base).eval()


def _pooling(folder: Path, form: Form, wanted: str) -> Pooling:
    """As asked for, else as the folder declares; a text model that is to give vectors and declares nothing takes the mean."""
    if not form.may_pool:
        if wanted not in ("auto", "native"):
            raise UserError(f"model.pooling is '{wanted}', but {form.auto} has no place for one", try_="model.pooling: auto")
        return "native"
    chosen: Pooling = declared_pooling(folder) if wanted == "auto" else wanted  # type: ignore[assignment]
    return "mean" if form.output == "vectors" and chosen == "native" else chosen


def _load_inner(
    folder: Path, config: Any, labels: Labels, pooling: Pooling, form: Form, more: Mapping[str, Any] = MappingProxyType({})
) -> tuple[Any, set[str]]:
    """The transformers model and the names of the parameters that the folder did not hold in the right shape."""
    import transformers
    from safetensors import SafetensorError

    if form.output == "frames":
        characters, _ = alphabet_of(folder, labels)
        config.vocab_size, config.pad_token_id = len(characters), characters.blank
    elif form.output not in ("vocabulary", "vectors", "pairs"):
        _describe_labels(config, labels)
    auto = getattr(transformers, form.auto) if pooling == "native" else _encoder_class(config)
    try:
        bits = 4 if more else 32
        refuse_size(lambda: auto.from_config(deepcopy(config)), declared_tensors(folder), folder, bits=bits)
        inner, info = auto.from_pretrained(
            str(folder),
            config=config,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            **more,
        )
    except (ValueError, OSError, RuntimeError, KeyError, TypeError, AttributeError, ZeroDivisionError, SafetensorError) as error:
        raise UserError(f"the model in '{folder}' cannot be loaded: {first_line(error)}") from error
    if form.output == "pairs":
        refuse_other(inner, folder)
    absent = set(info["missing_keys"]) | {key[0] if isinstance(key, tuple) else key for key in info["mismatched_keys"]}
    _check_complete(inner, absent, set() if has_pooling_block(folder) else set(info["unexpected_keys"]), folder)
    if pooling != "native" and isinstance(getattr(inner, "pooler", None), nn.Module):
        inner.pooler = None  # we pool ourselves: a pooler would be computed for nothing
    absent &= {name for name, _ in inner.named_parameters()}
    if absent and form.output == "vocabulary":
        raise UserError(
            f"the weights in '{folder}' are not those of a language model: '{sorted(absent)[0]}' is missing",
            expected=f"a model that {form.auto} opens whole",
        )
    return inner, absent


def _encoder_class(config: Any) -> Any:
    """The bare encoder; of an encoder-decoder, or of one saved without its decoder, the encoder alone."""
    from transformers import MODEL_FOR_TEXT_ENCODING_MAPPING, AutoModel, AutoModelForTextEncoding

    alone = any(name.endswith("EncoderModel") for name in config.architectures or ())
    if config.is_encoder_decoder or (alone and type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING):
        return AutoModelForTextEncoding
    return AutoModel


def _network(
    inner: Any,
    folder: Path,
    labels: Labels,
    pooling: Pooling,
    form: Form,
    new: tuple[str, ...],
    base: tuple[str, str, str | None],
) -> Network:
    """Put the processor beside the model and make sure that they fit."""
    processor = load_processor(folder, form.kind, inner.config)
    processor = with_words(folder, processor, form, inner.config, labels)
    tokenizer = processor if is_tokenized(form.kind) else getattr(processor, "tokenizer", None)
    if tokenizer is not None:
        texts = getattr(inner.config, "text_config", inner.config)
        ensure_padding(tokenizer, texts)
        known = texts.vocab_size if form.output == "pairs" else inner.get_input_embeddings().num_embeddings
        if len(tokenizer) > known:
            raise UserError(
                f"the tokenizer of '{folder}' knows {len(tokenizer)} tokens but the model embeds {known}",
                expected="the tokenizer that the model was trained with",
            )
    source, digest, revision = base
    return Network(
        inner,
        pooling=pooling,
        processor=processor,
        labels=labels,
        form=form,
        base=source,
        base_hash=digest,
        revision=revision,
        new=new,
    )


def _outside(inner: nn.Module) -> set[str]:
    """Names of the parameters that the architecture puts on top of its base model."""
    base = getattr(inner, "base_model", inner)
    bases = [base]
    if base is inner and _WITH_HEAD.search(type(inner).__name__):  # Whisper's classifier holds an encoder beside its head
        lists = block_lists(inner)
        bases = [child for name, child in inner.named_children() if any(f"{one}.".startswith(f"{name}.") for one in lists)]
    inside = {id(parameter) for part in bases for parameter in part.parameters()}
    return {name for name, parameter in inner.named_parameters() if id(parameter) not in inside}


def _is_pooler(name: str) -> bool:
    return ".pooler." in f".{name}"


def _new_parameters(inner: nn.Module, absent: set[str], form: Form) -> tuple[str, ...]:
    """Parameters outside the base model, and pooler parameters that the folder lacks; of a head that is kept, what is absent.

    A speech recognizer's head is the one on top of its base model, whether the folder holds it or not.
    """
    outside = form.head_is_new or form.output == "frames"
    new = _outside(inner) | {name for name in absent if _is_pooler(name)} if outside else absent
    return tuple(name for name, _ in inner.named_parameters() if name in new)


def _check_complete(inner: nn.Module, absent: set[str], unexpected: set[str], folder: Path) -> None:
    """Everything of the base model but its pooler must be there, and no block's weights may be left over."""
    parameters = {name for name, _ in inner.named_parameters()}
    lost = sorted(name for name in absent & parameters - _outside(inner) if not _is_pooler(name))
    blocks = sorted(key for key in unexpected if any(part.isdigit() for part in key.split(".")))
    if blocks and _is_other_half(inner):
        blocks = []
    elif blocks:
        heads = _saved_heads(inner.config)
        blocks = [key for key in blocks if key.split(".")[0] not in heads]
    if lost or blocks:
        listed = ", ".join((lost or blocks)[:5])
        raise UserError(
            f"the weights in '{folder}' do not fit its config.json: {len(lost or blocks)} tensors "
            f"{'are missing or have another shape' if lost else 'belong to layers that the config does not have'} ({listed})",
            expected="weights and config of one model",
        )


def _saved_heads(config: Any) -> set[str]:
    """What the class that a folder was saved from puts on top of its base model, as the ``classifier`` of a ResNet."""
    import transformers

    saved: Any = getattr(transformers, str(next(iter(config.architectures or ()), "")), None)
    is_model = isinstance(saved, type) and issubclass(saved, transformers.PreTrainedModel)
    if not is_model or saved.config_class is not type(config):
        return set()
    with without_values():
        return {name.split(".")[0] for name in _outside(saved(deepcopy(config)))}


def _check_finite(inner: nn.Module, new: set[str], folder: Path) -> None:
    for name, parameter in inner.named_parameters():
        if name not in new and not torch.isfinite(parameter).all():
            raise UserError(f"the weight '{name}' of '{folder}' holds NaN or infinity", expected="finite weights")


def _is_other_half(inner: nn.Module) -> bool:
    """An encoder taken out of an encoder-decoder leaves the decoder's blocks unused."""
    no_decoder = not any("decoder" in name for name, _ in inner.named_modules())
    whole: Any = inner.config
    return no_decoder and (type(inner).__name__.endswith("EncoderModel") or bool(whole.is_encoder_decoder))


def _initialize_head(network: Network, spread: float, kept: Container[str] = ()) -> None:
    """New matrices normal with the model's own initializer range, new biases zero (Devlin et al. 2019, appendix A.2 code)."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name not in network.head_names or name in kept:
                continue
            if parameter.ndim > 1:
                parameter.normal_(0.0, spread)
            elif name.endswith("bias"):
                parameter.zero_()
            else:
                parameter.fill_(1.0)


def _describe_labels(config: Any, labels: Labels) -> None:
    names = labels.names or ("score",)
    if labels.parts:
        names = tuple(f"{column} {name}".strip() for column, part in labels.parts for name in part.names or ("",))
    if labels.task == "ordinal":
        names = tuple(f"above {name}" for name in names[:-1])
    config.id2label = dict(enumerate(names))
    config.label2id = {name: index for index, name in enumerate(names)}
    config.problem_type = {
        "classification": "single_label_classification",
        "multi_label": "multi_label_classification",
        "ordinal": "multi_label_classification",
    }.get(labels.task, "regression")
