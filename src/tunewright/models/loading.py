"""Strict loading: every pre-trained tensor arrives, only the new head is initialised, nothing of a config runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tunewright.core.errors import UserError, unknown
from tunewright.core.types import Labels
from tunewright.models.network import Network
from tunewright.models.pooling import Pooling, declared_pooling
from tunewright.models.sources import find_model, hash_weights

# Keys of a config that can lead a loader to somebody's code.
_CODE_KEYS = ("auto_map", "_attn_implementation", "_attn_implementation_internal", "_experts_implementation", "custom_pipelines")


def load_network(
    source: str,
    labels: Labels,
    *,
    pooling: str = "auto",
    revision: str | None = None,
    dropout: float | None = None,
    seed: int = 0,
) -> Network:
    """The pre-trained model named ``source`` with a new head for ``labels``, in float32 and evaluation mode.

    The head's initial values depend on ``seed`` alone. Raises UserError where a pre-trained tensor is missing,
    unexpected or not finite.
    """
    from transformers import AutoTokenizer

    folder = find_model(source, revision)
    chosen: Pooling = declared_pooling(folder) if pooling == "auto" else pooling  # type: ignore[assignment]
    config = read_config(folder)
    _describe_labels(config, labels)
    if dropout is not None:
        _set_dropout(config, dropout)
    with quiet_transformers():
        tokenizer = AutoTokenizer.from_pretrained(str(folder))
        _ensure_padding(tokenizer, config)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            inner, new = _load_inner(folder, config, chosen)
            network = Network(
                inner, pooling=chosen, tokenizer=tokenizer, labels=labels, base=source, base_hash=hash_weights(folder), new=new
            )
            _initialise_head(network, float(getattr(config, "initializer_range", 0.02) or 0.02))
    if len(tokenizer) > inner.get_input_embeddings().num_embeddings:
        raise UserError(
            f"the tokenizer of '{source}' knows {len(tokenizer)} tokens but the model embeds "
            f"{inner.get_input_embeddings().num_embeddings}",
            expected="the tokenizer that the model was trained with",
        )
    return network.eval()


def read_config(folder: Path) -> Any:
    """The model's configuration, without any key that names code."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    try:
        raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{folder / 'config.json'} is not valid JSON: {error}") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("model_type"), str):
        raise UserError(f"{folder / 'config.json'} names no model_type", expected="an object such as {'model_type': 'bert', …}")
    if raw["model_type"] not in CONFIG_MAPPING:
        raise unknown("model_type", raw["model_type"], CONFIG_MAPPING.keys())
    plain = {key: value for key, value in raw.items() if key not in _CODE_KEYS}
    try:
        return CONFIG_MAPPING[raw["model_type"]].from_dict(plain)
    except (TypeError, ValueError) as error:
        raise UserError(f"{folder / 'config.json'} cannot be used: {error}") from None


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No load reports and progress bars of transformers: what matters in them is checked and said by us."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _load_inner(folder: Path, config: Any, pooling: Pooling) -> tuple[Any, tuple[str, ...]]:
    """The transformers model and the names of its new parameters."""
    from transformers import AutoModelForSequenceClassification, AutoModelForTextEncoding

    auto = AutoModelForSequenceClassification if pooling == "native" else _encoder_class(config, AutoModelForTextEncoding)
    try:
        inner, info = auto.from_pretrained(
            str(folder),
            config=config,
            use_safetensors=True,
            output_loading_info=True,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
        )
    except (ValueError, OSError, RuntimeError, KeyError) as error:
        raise UserError(f"the model in '{folder}' cannot be loaded: {error}") from error
    if pooling != "native" and isinstance(getattr(inner, "pooler", None), nn.Module):
        inner.pooler = None  # we pool ourselves: a pooler would be computed for nothing
    new = _new_parameters(inner, info, folder)
    for name, parameter in inner.named_parameters():
        if name not in new and not torch.isfinite(parameter).all():
            raise UserError(f"the weight '{name}' of '{folder}' holds NaN or infinity", expected="finite weights")
    return inner, new


def _encoder_class(config: Any, text_encoding: Any) -> Any:
    from transformers import AutoModel

    return text_encoding if config.is_encoder_decoder else AutoModel


def _new_parameters(inner: nn.Module, info: dict[str, Any], folder: Path) -> tuple[str, ...]:
    """Parameters outside the base model, or pooler parameters that the folder lacks; anything else missing is an error."""
    base = getattr(inner, "base_model", inner)
    inside = {id(parameter) for parameter in base.parameters()} if base is not inner else {id(p) for p in inner.parameters()}
    parameters = dict(inner.named_parameters())
    absent = set(info["missing_keys"]) | {key[0] if isinstance(key, tuple) else key for key in info["mismatched_keys"]}
    new = {name for name, parameter in parameters.items() if id(parameter) not in inside}
    poolers = {name for name in absent if ".pooler." in f".{name}" and name in parameters}
    lost = sorted(absent & parameters.keys() - new - poolers)
    blocks = [key for key in info["unexpected_keys"] if any(part.isdigit() for part in key.split("."))]
    if lost or (blocks and not _is_other_half(inner)):
        listed = ", ".join((lost or sorted(blocks))[:5])
        raise UserError(
            f"the weights in '{folder}' do not fit its config.json: {len(lost or blocks)} tensors "
            f"{'are missing or have another shape' if lost else 'belong to layers that the config does not have'} ({listed})",
            expected="weights and config of one model",
        )
    return tuple(name for name in parameters if name in new | poolers)


def _is_other_half(inner: nn.Module) -> bool:
    """An encoder taken out of an encoder-decoder leaves the decoder's blocks unused."""
    return type(inner).__name__.endswith("EncoderModel")


def _initialise_head(network: Network, spread: float) -> None:
    """New matrices normal with the model's own initialiser range, new biases zero (Devlin et al. 2019, appendix A.2 code)."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name not in network.head_names:
                continue
            if parameter.ndim > 1:
                parameter.normal_(0.0, spread)
            elif name.endswith("bias"):
                parameter.zero_()
            else:
                parameter.fill_(1.0)


def _describe_labels(config: Any, labels: Labels) -> None:
    names = labels.names if labels.outputs > 1 else ("score",) if not labels.names else labels.names
    config.id2label = dict(enumerate(names))
    config.label2id = {name: index for index, name in enumerate(names)}
    config.problem_type = {
        "classification": "single_label_classification",
        "multi_label": "multi_label_classification",
    }.get(labels.task, "regression")


def _set_dropout(config: Any, dropout: float) -> None:
    for key in [key for key, value in config.to_dict().items() if "drop" in key and isinstance(value, float)]:
        setattr(config, key, dropout)


def _ensure_padding(tokenizer: Any, config: Any) -> None:
    """Decoders come without a padding token; the end token serves, because attention never looks at padding."""
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if tokenizer.pad_token_id is None:
        raise UserError("the tokenizer has no padding, end or unknown token", expected="one that can pad a batch")
    if getattr(config, "pad_token_id", None) is None:
        config.pad_token_id = tokenizer.pad_token_id
    if not getattr(config, "is_encoder_decoder", False):
        tokenizer.padding_side = "right"
