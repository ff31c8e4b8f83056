"""Our pooling and head as modules of a sentence-transformers folder, written without that library.

The modules run one after the other: the encoder (the folder itself), pooling, a factor of 1024, a layer norm, the head.
The factor is there because the library's norm adds 1e-5 to the variance, which would be too much for small vectors.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tunewright.core.files import write_json, write_tensors

if TYPE_CHECKING:
    from tunewright.models.network import Network

_PACKAGE = "sentence_transformers.models"
_FACTOR = 1024.0


def write_sentence_modules(folder: Path, network: Network) -> None:
    """Describe what follows the encoder saved in ``folder``; the last module's output is the logits, or a unit vector."""
    width = network.inner.config.hidden_size
    modes = {"mean": "mean_tokens", "cls": "cls_token", "last": "lasttoken"}
    kinds = {f"pooling_mode_{name}": name == modes[network.pooling] for name in modes.values()}
    write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": width, **kinds})
    if network.classifier is None:
        _write_modules(folder, "", "1_Pooling", "2_Normalize")
        return
    _write_dense(folder / "2_Dense", torch.eye(width) * _FACTOR, torch.zeros(width))
    write_json(folder / "3_LayerNorm" / "config.json", {"dimension": width})
    norm = {"norm.weight": torch.ones(width), "norm.bias": torch.zeros(width)}
    write_tensors(folder / "3_LayerNorm" / "model.safetensors", norm)
    _write_dense(folder / "4_Dense", network.classifier.weight, network.classifier.bias)
    _write_modules(folder, "", "1_Pooling", "2_Dense", "3_LayerNorm", "4_Dense")


def _write_modules(folder: Path, *names: str) -> None:
    """The list by which the library finds the modules; the empty name is the encoder's own folder."""
    modules: list[dict[str, Any]] = [
        {"idx": index, "name": str(index), "path": name, "type": f"{_PACKAGE}.{name[2:] or 'Transformer'}"}
        for index, name in enumerate(names)
    ]
    write_json(folder / "modules.json", modules)


def _write_dense(folder: Path, weight: Tensor, bias: Tensor) -> None:
    outputs, inputs = weight.shape
    settings = {"in_features": inputs, "out_features": outputs, "bias": True}
    write_json(folder / "config.json", {**settings, "activation_function": "torch.nn.modules.linear.Identity"})
    write_tensors(folder / "model.safetensors", {"linear.weight": weight, "linear.bias": bias})
