"""Keys of a model's configuration that lead a loader to somebody's code, to another model or to the network.

transformers 5.3 and later take ``_attn_implementation`` and its relatives for names of kernels, of which some are fetched
(CVE-2026-4372); ``auto_map`` names a module; a backbone may name a model of the hub. All are only ways to say how a model is
computed or where it began, so they are left out wherever they stand. A quantized model cannot be opened without its code.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tunewright.core.errors import UserError

_LEFT_OUT = re.compile(
    r"auto_map(ping)?|custom_pipelines|custom_generate|trust_remote_code|code_revision|_commit_hash"
    r"|_?(attn|attention|experts|moe)?_?implementation(_internal)?|.*_implementation(_internal)?|.*kernels?_config|use_kernels"
)
_QUANTISED = ("quantization_config", "compression_config", "quantize_config")
_HUB_ID = re.compile(r"(hf-hub:|hf_hub:|local-dir:)?[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w./-]*")
_FETCHING = re.compile(r"backbone|.*_backbone|architecture|vision_tower|text_tower|.*_model_name(_or_path)?|.*pretrained_model.*")
_DEEPEST = 32  # of objects in one another; a model of models has three


def without_code(raw: dict[str, Any], path: Path) -> dict[str, Any]:
    """A configuration without such keys, at any depth; one that cannot do without them is a UserError."""
    return {key: _value(key, value, path, 1) for key, value in raw.items() if not _LEFT_OUT.fullmatch(key)}


def _value(key: str, value: Any, path: Path, depth: int) -> Any:
    if depth > _DEEPEST:
        raise UserError(f"{path} is nested more than {_DEEPEST} deep", expected="a model's configuration")
    if key in _QUANTISED and value:
        method = value.get("quant_method") if isinstance(value, dict) else None
        raise UserError(
            f"{path} says that the weights are quantized ({str(method or key)[:60]})",
            expected="weights in full precision",
            try_="the model that it was made from; --set model.quantize=4bit reads it in four bits",
        )
    if key == "use_pretrained_backbone":
        return False  # its weights are among those of the folder
    if isinstance(value, str) and _FETCHING.fullmatch(key) and _HUB_ID.fullmatch(value):
        raise UserError(
            f"{path} names another model, {key}: '{value[:100]}', which would be fetched",
            expected="a model that is whole in its folder",
        )
    if isinstance(value, dict):
        return {name: _value(name, one, path, depth + 1) for name, one in value.items() if not _LEFT_OUT.fullmatch(name)}
    if isinstance(value, list):
        return [_value("", one, path, depth + 1) for one in value]
    return value
