"""PEFT's folder format: adapter_config.json and adapter_model.safetensors, written and read without the library.

A name of a Network, ``inner.bert.encoder…query.lora_A``, is called ``base_model.model.bert.encoder…query.lora_A.weight``
in such a file. A head that belongs to transformers' own class goes into the same file (PEFT's ``modules_to_save``); our own
last linear layer has no place in PEFT's model and lies beside it in ``head.safetensors``, under its Network names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tunewright.core.errors import UserError
from tunewright.core.files import read_json, read_tensors, write_json, write_tensors
from tunewright.core.registry import load_part
from tunewright.core.types import Applied
from tunewright.models.folder_checks import refuse_links_out
from tunewright.models.network import Network
from tunewright.models.sources import openable

CONFIG_FILE = "adapter_config.json"
TENSORS_FILE = "adapter_model.safetensors"
HEAD_FILE = "head.safetensors"

# PEFT wraps the model once more for layer adapters than for virtual tokens, so their keys have one part more.
_LAYERS, _TOKENS = "base_model.model.", "base_model."
_TOKEN_TYPES = ("PREFIX_TUNING", "PROMPT_TUNING", "P_TUNING")
_METHODS = {"IA3": "ia3", "PREFIX_TUNING": "prefix", "PROMPT_TUNING": "prompt", "P_TUNING": "prompt", "BOTTLENECK": "bottleneck"}

# PEFT's word for the class that an adapter belongs to; it knows none for images and sounds.
_TASKS = {
    "AutoModelForSequenceClassification": "SEQ_CLS",
    "AutoModelForTokenClassification": "TOKEN_CLS",
    "AutoModelForQuestionAnswering": "QUESTION_ANS",
    "AutoModelForCausalLM": "CAUSAL_LM",
    "AutoModelForSeq2SeqLM": "SEQ_2_SEQ_LM",
}

# Values of a LoRA config under which PEFT's forward pass is the one that lora and dora compute.
_OFF: tuple[Any, ...] = (None, False, {}, [])
_LOW_RANK: dict[str, tuple[Any, ...]] = {
    "bias": ("none",),
    "init_lora_weights": (True, False, "gaussian", "orthogonal", "eva"),
    **dict.fromkeys(("lora_bias", "use_qalora", "layer_replication", "trainable_token_indices", "target_parameters"), _OFF),
    **dict.fromkeys(("use_bdlora", "arrow_config", "kasa_config", "monteclora_config", "velora_config"), _OFF),
    "alora_invocation_tokens": _OFF,
}


# Keys with which the library imports a module that a file names, or opens another file.
_NAMING_CODE = ("megatron_config", "megatron_core", "auto_map", "custom_modules")
_HARMLESS = {"megatron_core": "megatron.core"}  # the library's default; it is imported only where megatron_config is set
_OPENING = (
    "transformers"  # the only library whose classes an adapter's auto_mapping may name; we read it nowhere, the library does
)
# Keys whose values the library reads as regular expressions.
_PATTERNS = ("target_modules", "exclude_modules", "layers_pattern", "rank_pattern", "alpha_pattern", "modules_to_save")
_LONGEST_PATTERN, _MOST_REPEATS = 1000, 2  # two that follow one another take the square of a name's hundred letters


def write_adapter(folder: Path, network: Network, applied: Applied) -> None:
    """Save what a method trained, and the head, as a folder that PEFT opens on the plain base model."""
    if applied.adapter_config is None or applied.adapter_state is None:
        raise UserError("this method changes the network's own weights and has no adapter to save", try_="save the whole model")
    start = _start(applied.adapter_config)
    head = head_tensors(network)
    inside = {start + name.removeprefix("inner."): value for name, value in head.items() if name.startswith("inner.")}
    own = {name: value for name, value in head.items() if not name.startswith("inner.")}
    write_tensors(folder / TENSORS_FILE, {**applied.adapter_state(), **inside})
    if own:
        write_tensors(folder / HEAD_FILE, own)
    write_json(folder / CONFIG_FILE, dict(applied.adapter_config))


def read_adapter(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The config and all tensors of an adapter folder, ours or PEFT's; the head's are among them."""
    config = read_json(folder / CONFIG_FILE)
    if not isinstance(config, dict) or not isinstance(config.get("peft_type"), str):
        raise UserError(f"{folder / CONFIG_FILE} names no peft_type", expected="an adapter saved by tunewright or peft")
    refuse_links_out(folder)
    _refuse_code(config, folder / CONFIG_FILE)
    if not (folder / TENSORS_FILE).is_file():
        raise UserError(
            f"the adapter '{folder}' holds no {TENSORS_FILE}", expected="an adapter as safetensors; other files can run code"
        )
    state = read_tensors(folder / TENSORS_FILE)
    if (folder / HEAD_FILE).exists():
        state |= read_tensors(folder / HEAD_FILE)
    broken = sorted(key for key, value in state.items() if value.is_floating_point() and not torch.isfinite(value).all())
    if broken:
        raise UserError(f"the adapter in {folder} holds NaN or infinity in '{broken[0]}'", expected="finite weights")
    return config, state


def _refuse_code(config: Mapping[str, Any], path: Path) -> None:
    """Raise UserError for a key that names a module, and for a regular expression that could take endless time."""
    named = next((key for key in _NAMING_CODE if config.get(key) not in (None, {}, _HARMLESS.get(key))), None)
    mapping = config.get("auto_mapping")
    if mapping and not (isinstance(mapping, dict) and str(mapping.get("parent_library")).split(".")[0] == _OPENING):
        named = "auto_mapping"
    if named is not None:
        raise UserError(f"{path} sets {named}, which names code to load", expected="an adapter whose config is plain values")
    for key in _PATTERNS:
        value = config.get(key)
        for pattern in [value] if isinstance(value, str) else value if isinstance(value, (list, dict)) else []:
            if not isinstance(pattern, str) or not is_quick(pattern):
                raise UserError(
                    f"{path}: {key} has the pattern {str(pattern)[:80]!r}", expected="names, with at most two .* or +"
                )


def is_quick(pattern: str) -> bool:
    """Whether a regular expression can take no longer than the square of what it reads: no repeated group, few repeats."""
    plain = re.sub(r"\\.|\[[^\]]*\]", "x", pattern)
    repeats = len(re.findall(r"[*+{]", plain))
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return len(pattern) <= _LONGEST_PATTERN and repeats <= _MOST_REPEATS and not re.search(r"\)[*+{]|\\[0-9]", plain)


def load_adapter(network: Network, folder: Path, method: str = "peft") -> Applied:
    """Apply a saved adapter to its plain base network, by the method that its config names.

    ``method`` made the adapter: it reads a kind that only it knows.
    """
    config, state = read_adapter(folder)
    name = method_of(config)
    applied: Applied = load_part("methods", method if name == "peft" else name).load(network, config, state)
    return applied


def is_only_ours(config: Mapping[str, Any], method: str) -> bool:
    """Whether PEFT cannot open the adapter: it is our own kind, or that of a method from another package."""
    reader = method_of(config)
    return reader == "bottleneck" or (reader == "peft" and method != "peft")


def method_of(config: Mapping[str, Any]) -> str:
    """Which of our methods reads an adapter of this config; the bridge to the library reads all others."""
    if config["peft_type"] == "LORA":
        if _uncomputed(config) is not None:
            return "peft"
        return "dora" if config.get("use_dora") else "lora"
    return _METHODS.get(str(config["peft_type"]), "peft")


def layer_key(name: str) -> str:
    """PEFT's key for a tensor that sits in a layer of the network."""
    return _LAYERS + name.removeprefix("inner.")


def base_config(network: Network, peft_type: str) -> dict[str, Any]:
    """The keys that every adapter_config.json has."""
    native = network.pooling == "native"
    return {
        "peft_type": peft_type,
        "task_type": _TASKS.get(network.form.auto) if native else "FEATURE_EXTRACTION",
        "auto_mapping": None,
        "base_model_name_or_path": openable(network.base),
        "revision": network.revision,
        "inference_mode": True,
        "modules_to_save": list(head_modules(network)) or None,
    }


def head_modules(network: Network) -> tuple[str, ...]:
    """Modules of the inner model that are new as a whole, each the outermost such, named as PEFT names them."""
    names = [name for name in network.head_names if name.startswith("inner.")]
    found: dict[str, None] = {}
    for name in names:
        parts = name.split(".")
        outer = [".".join(parts[:end]) for end in range(2, len(parts))]
        whole = (path for path in outer if all(key in names for key, _ in _parameters(network, path)))
        found.setdefault(next(whole).removeprefix("inner."))
    return tuple(found)


def head_tensors(network: Network) -> dict[str, Tensor]:
    """The head's weights and, where it has any, its buffers, such as a batch norm's means, which PEFT wants as well."""
    whole = tuple(f"inner.{name}." for name in head_modules(network))
    others = {name for name, _ in network.named_parameters()} - set(network.head_names)
    state = network.state_dict()
    return {
        name: value
        for name, value in state.items()
        if name in network.head_names or (name.startswith(whole) and name not in others)
    }


def _parameters(network: Network, path: str) -> Iterable[tuple[str, Tensor]]:
    return network.get_submodule(path).named_parameters(prefix=path)


def fill(network: Network, config: Mapping[str, Any], keys: Mapping[str, str], state: Mapping[str, Tensor]) -> None:
    """Copy saved tensors into an adapted network: ``keys`` maps the adapter's parameter names to its keys in ``state``.

    What else the file holds must be weights of the network itself, such as the head's; a tensor that is missing, left
    over or of another shape is a ``UserError``.
    """
    start = _start(config)
    ours = {key: name for name, key in keys.items()}
    missing = sorted(set(ours) - set(state))
    if missing:
        raise UserError(f"the adapter lacks {len(missing)} tensors, such as '{missing[0]}'", expected="a whole adapter")
    held = dict(network.named_parameters()) | head_tensors(network)
    for key, value in state.items():
        name = ours.get(key) or (f"inner.{key.removeprefix(start)}" if key.startswith(start) else key)
        if name not in held:
            raise UserError(
                f"the adapter's tensor '{key}' has no place in this network", expected=f"an adapter of '{network.base}'"
            )
        own = held[name]
        if own.shape != value.shape:
            raise UserError(
                f"the adapter's tensor '{key}' has shape {tuple(value.shape)}, the network's has {tuple(own.shape)}",
                expected="an adapter of the same base model and labels",
            )
        with torch.no_grad():
            own.copy_(value)


def snapshot(network: Network, keys: Mapping[str, str]) -> dict[str, Tensor]:
    """The adapter's tensors as they are now, under PEFT's keys."""
    return {key: network.get_parameter(name).detach().clone() for name, key in keys.items()}


def refuse_uncomputed(config: Mapping[str, Any]) -> None:
    """Raise for a LoRA option that changes the forward pass in a way that lora and dora do not compute."""
    field = _uncomputed(config)
    if field is not None:
        raise UserError(
            f"the adapter was made with {field} = {config[field]!r}, which lora and dora do not compute",
            expected=f"{field} among {', '.join(map(repr, _LOW_RANK[field]))}",
            try_="method: peft",
        )


def _uncomputed(config: Mapping[str, Any]) -> str | None:
    return next((field for field, values in _LOW_RANK.items() if field in config and config[field] not in values), None)


def _start(config: Mapping[str, Any]) -> str:
    return _TOKENS if config["peft_type"] in _TOKEN_TYPES else _LAYERS
