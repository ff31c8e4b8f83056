"""Tiny models in folders, and what networks made of them read and say."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tunewright.core.files import read_tensors, write_tensors
from tunewright.models.network import Network
from tunewright.models.tiny import tiny_model

Tensors = dict[str, Tensor]


def folders(
    factory: pytest.TempPathFactory,
    make: Callable[[str, Path], Path] = tiny_model,
    change: Callable[[Tensors], Tensors] | None = None,
) -> Callable[[str], Path]:
    """The folder of a family's tiny model, made once; ``change`` gives it other weights.

    Larger ones, most of all: fresh tiny networks are nearly linear and hide mistakes.
    """

    @cache
    def folder(family: str) -> Path:
        made = make(family, factory.mktemp("tiny") / family)
        if change is not None:
            weights = made / "model.safetensors"
            write_tensors(weights, change(read_tensors(weights)))
        return made

    return folder


def larger(factor: float) -> Callable[[Tensors], Tensors]:
    """Matrices times ``factor``."""
    return lambda tensors: {name: value * factor if value.ndim > 1 else value for name, value in tensors.items()}


def reading(texts: tuple[str, ...]) -> Callable[..., Tensors]:
    """What a network reads of some sentences, padded: of these where it is given none."""

    def batch(network: Network, texts: tuple[str, ...] = texts) -> Tensors:
        encoded = network.tokenizer(list(texts), padding=True, return_tensors="pt")
        return {key: encoded[key] for key in network.reads if key in encoded}

    return batch


def predicting(texts: tuple[str, ...]) -> Callable[..., Tensor]:
    """What a network predicts for some sentences: for these where it is given none."""
    batch = reading(texts)

    def predict(network: Network, texts: tuple[str, ...] = texts) -> Tensor:
        with torch.no_grad():
            return network.eval()(batch(network, texts))

    return predict
