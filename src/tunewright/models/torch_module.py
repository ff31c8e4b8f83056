"""A plain torch.nn.Module that reads images or sounds, as a backbone: its last linear layer gives way to a new head.

A module's class is code, which is neither written into a recipe nor run from one: what was trained is saved as tensors, and the
module is needed again to open it.
When: a network of one's own, or of a library that transformers does not know.
When not: transformers has the architecture: its folder opens by itself.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, final

import torch
from torch import Tensor, nn

from tunewright.core.errors import UserError
from tunewright.core.files import bytes_of, hash_bytes
from tunewright.core.types import Labels
from tunewright.modalities.audio.modality import AudioPreprocessing
from tunewright.modalities.image.modality import ImagePreprocessing
from tunewright.models.form import Form
from tunewright.models.network import Network

SOURCE = "module:"  # what a recipe names in place of a folder
FORM = Form("image", "module", "logits")
Preprocessing = ImagePreprocessing | AudioPreprocessing
_SOUNDS = ("log_mel", "ast", "raw")


@dataclass(frozen=True)
class Backbone:
    """A pre-trained module from Python, and what it wants of a picture or a sound."""

    module: nn.Module
    preprocessing: Preprocessing

    @property
    def kind(self) -> str:
        """What rows it reads."""
        return "audio" if isinstance(self.preprocessing, AudioPreprocessing) else "image"

    @property
    def source(self) -> str:
        return SOURCE + type(self.module).__name__


def backbone_of(model: Any, preprocessing: Preprocessing | None) -> Backbone | None:
    """The backbone of a module with its preprocessing; None for everything else that names a model."""
    if not isinstance(model, nn.Module):
        if preprocessing is not None:
            raise UserError("preprocessing was given without a module", expected="model=module, preprocessing=…")
        return None
    if preprocessing is None:
        raise UserError(
            f"the module {type(model).__name__} does not say how it reads a picture or a sound",
            expected="preprocessing=ImagePreprocessing(height, width, mean=…, std=…) or AudioPreprocessing(kind=…, …)",
        )
    if isinstance(preprocessing, AudioPreprocessing) and (
        preprocessing.kind not in _SOUNDS or (preprocessing.kind == "raw" and preprocessing.mask)
    ):
        raise UserError(
            f"a Python module takes no sounds of kind {preprocessing.kind} with a mask",
            expected="log_mel, ast, or raw with mask=False: one tensor for a batch",
        )
    return Backbone(model, preprocessing)


@final
class PlainClassifier(nn.Module):
    """A module as the engine calls a transformers model: pixels in, an answer with logits out."""

    main_input_name = "pixel_values"

    def __init__(self, module: nn.Module, channels: int) -> None:
        super().__init__()
        self.module = module
        self.config: Any = _Config(repr(module), num_channels=channels)

    def forward(self, pixel_values: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.module(pixel_values))


@final
class PlainListener(nn.Module):
    """The same of a module that reads sounds: samples (batch, samples) or a spectrogram (batch, frames, mels)."""

    main_input_name = "input_values"

    def __init__(self, module: nn.Module, how: AudioPreprocessing) -> None:
        super().__init__()
        self.module = module
        shape = {"samples": how.most_samples} if how.kind == "raw" else {"max_length": how.frames, "num_mel_bins": how.channels}
        self.config: Any = _Config(repr(module), **shape)

    def forward(self, input_values: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.module(input_values))


class _Config:
    """What the engine asks of a model's configuration: the module's tree, and the shape of what it reads."""

    def __init__(self, tree: str, **shape: int) -> None:
        self.__dict__.update(shape, tree=tree)

    def to_json_string(self, use_diff: bool = True) -> str:
        return json.dumps(vars(self), sort_keys=True)


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
    how = backbone.preprocessing
    return Network(
        PlainListener(module, how) if isinstance(how, AudioPreprocessing) else PlainClassifier(module, how.channels),
        pooling="native",
        processor=how,
        labels=labels,
        form=replace(FORM, kind=backbone.kind),
        base=backbone.source,
        base_hash=digest,
        new=tuple(f"module.{name}.{key}" for key, _ in new.named_parameters()),
    ).eval()


def _example(how: Preprocessing) -> Tensor:
    """A batch of one, of zeros."""
    if isinstance(how, ImagePreprocessing):
        return torch.zeros(1, how.channels, how.height, how.width)
    return torch.zeros(1, how.most_samples) if how.kind == "raw" else torch.zeros(1, how.frames, how.channels)


def _last_linear(module: nn.Module, preprocessing: Preprocessing) -> str:
    """Name of the linear layer whose output is the module's answer, told by one pass."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str, output: Tensor) -> None:
        outputs[name] = output

    hooks = [
        part.register_forward_hook(lambda _, __, output, name=name: keep(name, output))  # type: ignore[misc]
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear) and name
    ]
    example = _example(preprocessing)
    try:
        with torch.no_grad():
            answer = module.cpu().eval()(example)
    except (RuntimeError, ValueError, TypeError) as error:
        raise UserError(
            f"{type(module).__name__} does not read a batch of {tuple(example.shape)}: {error}",
            expected="a module whose forward takes pixels (batch, channels, height, width), samples (batch, samples) or frames "
            "(batch, frames, mels) of the preprocessing's size",
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
