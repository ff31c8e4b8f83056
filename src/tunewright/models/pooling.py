"""From one vector per token to one per example, and what a model folder declares about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from tunewright.core.files import read_object

METADATA = "tunewright.json"  # what we write beside a saved model; see artifacts/model_folder.py

Pooling = Literal["native", "mean", "cls", "last"]

# Below any real variance: a larger one would shrink features by a share that the block of pooling_layer.py cannot repeat.
NORM_EPSILON = 1e-12


def pool(tokens: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """(batch, tokens, width) and a 0/1 mask (batch, tokens) -> (batch, width), whatever the padding side."""
    if pooling == "mean":
        weights = mask.unsqueeze(-1).to(tokens.dtype)
        return (tokens * weights).sum(1) / weights.sum(1).clamp(min=1)
    rows = torch.arange(len(tokens), device=tokens.device)
    return tokens[rows, first_token(mask) if pooling == "cls" else last_token(mask)]


def first_token(mask: Tensor) -> Tensor:
    """Position of each example's first real token, (batch,)."""
    return mask.to(torch.int64).argmax(1)


def last_token(mask: Tensor) -> Tensor:
    """Position of each example's last real token, (batch,)."""
    return mask.shape[1] - 1 - mask.flip(1).to(torch.int64).argmax(1)


def declared_pooling(folder: Path) -> Pooling:
    """The pooling a sentence encoder was pre-trained with (its ``1_Pooling`` folder); 'native' when none is declared.

    Source: the sentence-transformers folder format (Reimers and Gurevych 2019, section 3, on mean and CLS pooling).
    """
    if has_pooling_block(folder):
        return "mean"
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        return "native"
    declared = read_object(path)
    if declared.get("pooling_mode_mean_tokens") or declared.get("pooling_mode") == "mean":
        return "mean"
    if declared.get("pooling_mode_cls_token") or declared.get("pooling_mode") == "cls":
        return "cls"
    if declared.get("pooling_mode_lasttoken") or declared.get("pooling_mode") == "lasttoken":
        return "last"
    return "native"


def has_pooling_block(folder: Path) -> bool:
    """Whether a model folder was written by us with the mean as an extra block."""
    path = folder / METADATA
    if not path.is_file():
        return False
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError):
        return False
    return isinstance(said, dict) and said.get("appended_layer") is True
