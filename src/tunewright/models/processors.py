"""Processors: what makes a network's inputs, loaded from its folder and saved beside it; data, never code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunewright.core.damaged_files import unusable
from tunewright.core.errors import UserError
from tunewright.core.files import write_json
from tunewright.core.registry import load_part
from tunewright.modalities.processor_files import PREPROCESSOR
from tunewright.models.config import read_config


def is_tokenized(kind: str) -> bool:
    """Whether rows of this modality become token ids."""
    return bool(load_part("modalities", kind).TOKENIZED)


def load_processor(folder: Path, kind: str, config: Any) -> Any:
    """The tokenizer, or the preparation of images or sounds, that the folder declares."""
    modality = load_part("modalities", kind)
    with unusable(folder / PREPROCESSOR, f"what prepares the inputs of a model of {kind} rows"):
        if hasattr(modality, "model_folders"):
            config = {name: read_config(folder / name) for name in modality.model_folders(folder)}
        return modality.load_processor(folder, config)


def save_processor(processor: Any, folder: Path) -> None:
    """Write it where ``load_processor`` and transformers find it."""
    for part in getattr(processor, "parts", (processor,)):
        if hasattr(part, "save_pretrained"):
            part.save_pretrained(str(folder))
        else:
            write_json(folder / PREPROCESSOR, part.to_dict())


def ensure_padding(tokenizer: Any, config: Any) -> None:
    """Decoders come without a padding token; the end token serves, because attention never looks at padding."""
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if tokenizer.pad_token_id is None:
        raise UserError("the tokenizer has no padding, end or unknown token", expected="one that can pad a batch")
    if getattr(config, "pad_token_id", None) is None:
        config.pad_token_id = tokenizer.pad_token_id
    if not getattr(config, "is_encoder_decoder", False):
        tokenizer.padding_side = "right"
