"""A model folder's configuration, read without running anything that it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunewright.core.errors import UserError, unknown
from tunewright.core.files import read_object
from tunewright.models.config_keys import without_code
from tunewright.models.declared_size import refuse_counts
from tunewright.models.folder_checks import declared_tensors
from tunewright.models.pooling import has_pooling_block


def read_config(folder: Path, dropout: float | None = None) -> Any:
    """The model's configuration, without any key that names code."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    path = folder / "config.json"
    raw = read_object(path)
    if not isinstance(raw.get("model_type"), str):
        raise UserError(f"{path} names no model_type", expected="an object such as {'model_type': 'bert', …}")
    if raw["model_type"] not in CONFIG_MAPPING:
        raise unknown("model_type", raw["model_type"], CONFIG_MAPPING.keys())
    plain = without_code(raw, path)
    refuse_counts(plain, path, declared_tensors(folder))
    try:
        config = CONFIG_MAPPING[raw["model_type"]].from_dict(plain)
    except (TypeError, ValueError, KeyError, AttributeError, StrictDataclassError) as error:
        raise UserError(f"{path} cannot be used: {error}") from error
    layers = getattr(config, "num_hidden_layers", 1)
    if not isinstance(layers, int) or layers < 1:
        raise UserError(f"{path} says num_hidden_layers {layers!r}", expected="1 or more")
    if has_pooling_block(folder):
        config.num_hidden_layers -= 1
    if dropout is not None:
        _set_dropout(config, dropout)
    return config


def _set_dropout(config: Any, dropout: float) -> None:
    """Every dropout of units; ``layerdrop`` leaves out whole layers and is another thing."""
    for key, value in config.to_dict().items():
        if "drop" in key and "layerdrop" not in key and isinstance(value, (int, float)) and not isinstance(value, bool):
            setattr(config, key, dropout)
