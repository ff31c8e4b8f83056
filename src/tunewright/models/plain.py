"""A plain torch.nn.Module that reads images, as a backbone: its last linear layer gives way to a new head.

A module's class is code, which is neither written into a recipe nor run from one: what was trained is saved as tensors, and the
module is needed again to open it.
When: a network of one's own, or of a library that transformers does not know.
When not: transformers has the architecture: its folder opens by itself.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, final

import torch
from torch import Tensor, nn

from tunewright.core.errors import UserError
from tunewright.core.files import bytes_of, hash_bytes
from tunewright.core.types import Labels
from tunewright.data.encoders.image import ImagePreprocessing
from tunewright.models.form import Form
from tunewright.models.network import Network

SOURCE = "module:"  # what a recipe names in place of a folder
FORM = Form("image", "module", "logits")


@dataclass(frozen=True)
class Backbone:
    """A pre-trained module from Python, and what it wants of a picture."""

    module: nn.Module
    preprocessing: ImagePreprocessing

    @property
    def source(self) -> str:
        return SOURCE + type(self.module).__name__


def backbone_of(model: Any, preprocessing: ImagePreprocessing | None) -> Backbone | None:
    """The backbone of a module with its preprocessing; None for everything else that names a model."""
    if not isinstance(model, nn.Module):
        if preprocessing is not None:
            raise UserError("preprocessing was given without a module", expected="model=module, preprocessing=…")
        return None
    if preprocessing is None:
        raise UserError(
            f"the module {type(model).__name__} does not say how it reads a picture",
            expected="preprocessing=ImagePreprocessing(height, width, mean=…, std=…)",
        )
    return Backbone(model, preprocessing)


@final
class PlainClassifier(nn.Module):
    """A module as the engine calls a transformers model: pixels in, an answer with logits out."""

    main_input_name = "pixel_values"

    def __init__(self, module: nn.Module, channels: int) -> None:
        super().__init__()
        self.module = module
        self.config: Any = _Config(repr(module), channels)

    def forward(self, pixel_values: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.module(pixel_values))


@dataclass
class _Config:
    """What the engine asks of a model's configuration."""

    tree: str
    num_channels: int

    def to_json_string(self, use_diff: bool = True) -> str:
        return json.dumps({"tree": self.tree, "num_channels": self.num_channels})


def plain_network(backbone: Backbone, labels: Labels, seed: int = 0) -> Network:
    """A copy of the module with a new last linear layer, whose initial values (torch's own rule) depend on ``seed`` alone."""
    module = copy.deepcopy(backbone.module).to(torch.float32)
    broken = [name for name, value in module.named_parameters() if not torch.isfinite(value).all()]
    if broken:
        raise UserError(f"the module's weight '{broken[0]}' holds NaN or infinity", expected="finite weights")
    name = _last_linear(module, backbone.preprocessing)
    digest = hash_bytes(part for key, value in backbone.module.state_dict().items() for part in (key.encode(), bytes_of(value)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        old = module.get_submodule(name)
        assert isinstance(old, nn.Linear)
        new = nn.Linear(old.in_features, labels.outputs, bias=old.bias is not None)
    parent, _, child = name.rpartition(".")
    setattr(module.get_submodule(parent), child, new)
    return Network(
        PlainClassifier(module, backbone.preprocessing.channels),
        pooling="native",
        processor=backbone.preprocessing,
        labels=labels,
        form=FORM,
        base=backbone.source,
        base_hash=digest,
        new=tuple(f"module.{name}.{key}" for key, _ in new.named_parameters()),
    ).eval()


def _last_linear(module: nn.Module, preprocessing: ImagePreprocessing) -> str:
    """Name of the linear layer whose output is the module's answer, told by one pass."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str, output: Tensor) -> None:
        outputs[name] = output

    hooks = [
        part.register_forward_hook(lambda _, __, output, name=name: keep(name, output))  # type: ignore[misc]
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear) and name
    ]
    pixels = torch.zeros(1, preprocessing.channels, preprocessing.height, preprocessing.width)
    try:
        with torch.no_grad():
            answer = module.cpu().eval()(pixels)
    except (RuntimeError, ValueError, TypeError) as error:
        raise UserError(
            f"{type(module).__name__} does not read a batch of {tuple(pixels.shape)}: {error}",
            expected="a module whose forward takes pixels (batch, channels, height, width) of the preprocessing's size",
        ) from None
    finally:
        for hook in hooks:
            hook.remove()
    found = [name for name, output in outputs.items() if output is answer]
    if not found:
        raise UserError(
            f"the answer of {type(module).__name__} does not come straight from a linear layer",
            expected="a module whose last step is nn.Linear, which a new head replaces",
            try_="take off what follows it (a softmax), or put nn.Linear at its end",
        )
    return found[0]


def missing_module(what: str) -> UserError:
    return UserError(
        f"{what} was trained from a Python module, whose code is not saved",
        expected="the same module, not trained further",
        try_="tunewright.load(folder, backbone=(module, preprocessing))",
    )
