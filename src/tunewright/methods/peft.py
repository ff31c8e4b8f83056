"""Train any method of the installed peft library, by its name there.

Source: Mangrulkar et al. 2022, the PEFT library; each method's paper is named in the library's own documentation.
When: a method that has no file here (vera, loha, lokr, oft, boft, hra, fourierft, randlora, p_tuning, …), or an option of
lora that ours leaves out: ``{name: peft, method: lora, r: 8, lora_bias: true}``. All other settings are the arguments of the
library's config class, under their names there.
When not: lora, dora, ia3, prefix and prompt, which exist here; and methods that need a call at every step, inputs of their
own or a generating model (adalora, poly, xlora, cpt, multitask prompt tuning), which are refused.
Nearest: lora.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from importlib.util import find_spec
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from tunewright.core.errors import UserError, nearest, unknown
from tunewright.core.types import Applied
from tunewright.methods._tree import Wrapper, open_only
from tunewright.methods._virtual_tokens import make_room, refuse_without_tokens
from tunewright.models import peft_format as peft_format
from tunewright.models.example_inputs import example_inputs
from tunewright.models.linear import linear_names
from tunewright.models.network import Network
from tunewright.models.vocabulary import Vocabulary

# Why a method of the library cannot run inside another loop; everything else is tried.
_REFUSED = {
    "ADALORA": "it has to be told of every optimizer step",
    "ADAPTION_PROMPT": "it needs a generating model",
    "CARTRIDGE": "it needs a generating model",
    "CPT": "it needs a generating model",
    "MULTITASK_PROMPT_TUNING": "it needs the task of every row",
    "POLY": "it needs the task of every row",
    "PREFIX_TUNING": "it exists here as 'prefix'",
    "PROMPT_TUNING": "it exists here as 'prompt'",
    "SHADOW": "it needs a generating model",
    "XLORA": "it needs adapters that exist already",
}
_ADAPTER = "default"
_OURS = ("peft_type", "task_type", "modules_to_save", "inference_mode", "base_model_name_or_path", "auto_mapping")


class Settings(BaseModel):
    """The method's name; every other key is an argument of its config class in the library."""

    model_config = ConfigDict(extra="allow", frozen=True)

    method: str = Field("lora", description="Name of a PEFT method, as in the library's PeftType.")


def apply(network: Network, settings: Settings) -> Applied:
    """Inject the library's layers into the network, or its prompt network before the text."""
    _require_library()
    name = settings.method.strip().upper().replace("-", "_")
    config = _config(name, dict(settings.model_extra or {}))
    if name == "P_TUNING":
        return _p_tuning(network, config)
    return _inject(network, config)[0]


def load(network: Network, config: dict[str, Any], state: dict[str, Tensor]) -> Applied:
    """Apply an adapter of any kind of layer that the library reads."""
    _require_library()
    from peft import set_peft_model_state_dict

    name = str(config["peft_type"])
    known = _arguments(name)
    arguments = {key: value for key, value in config.items() if key in known and key not in _OURS}
    applied, holder = _inject(network, _config(name, arguments))
    start, names = peft_format.layer_key(""), set(peft_format.head_tensors(network))
    head = {key: value for key, value in state.items() if key in names or f"inner.{key.removeprefix(start)}" in names}
    layers = {key: value for key, value in state.items() if key not in head}
    try:
        unexpected = set_peft_model_state_dict(holder, layers).unexpected_keys
    except (KeyError, RuntimeError, ValueError) as error:
        raise UserError(f"PEFT cannot load this {name} adapter: {error}", expected=f"an adapter of '{network.base}'") from error
    if unexpected:
        what = f"the adapter's tensor '{unexpected[0]}' has no place in this network"
        raise UserError(what, expected=f"an adapter of '{network.base}'")
    peft_format.fill(network, config, {}, head)
    return applied


def _require_library() -> None:
    if find_spec("peft") is None:
        raise UserError("method 'peft' needs the package 'peft', which is not installed", try_="pip install tunewright[peft]")


def _arguments(name: str) -> tuple[str, ...]:
    """Names of a method's arguments in the library; an unknown method is a ``UserError``."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    classes = {str(kind.value): cls for kind, cls in PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    if name not in classes:
        raise unknown("PEFT method", name, classes)
    if name in _REFUSED:
        raise UserError(
            f"the PEFT method '{name}' cannot be trained here: {_REFUSED[name]}", expected="a method that adapts layers"
        )
    return tuple(field.name for field in fields(classes[name]))


def _config(name: str, arguments: Mapping[str, Any]) -> Any:
    """The library's config object; an argument that it does not have is a ``UserError``."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    known = tuple(key for key in _arguments(name) if key not in _OURS)
    for key in arguments:
        if key not in known:
            raise UserError(
                f"the PEFT method '{name}' has no argument '{key}'", expected="one of its own", nearest=nearest(key, known)
            )
    cls = next(cls for kind, cls in PEFT_TYPE_TO_CONFIG_MAPPING.items() if kind.value == name)
    try:
        return cls(**arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"the PEFT method '{name}' refuses these arguments: {error}") from error


class Holder(nn.Module):
    """Stands where the library's PeftModel stands, so that its functions find their names; it never runs."""

    def __init__(self, tuner: Any) -> None:
        super().__init__()
        self.base_model = tuner
        self.peft_config = tuner.peft_config


def _inject(network: Network, config: Any) -> tuple[Applied, Holder]:
    """Build the library's tuner around the inner model, which changes it in place."""
    from peft import get_peft_model_state_dict
    from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING

    _ = network.stack  # read before the tree changes
    before, kind = _probe(network), str(config.peft_type.value)
    tuner_class = PEFT_TYPE_TO_TUNER_MAPPING[config.peft_type]
    _complete(network, config, getattr(tuner_class, "target_module_mapping", None))
    network.requires_grad_(False)
    try:
        tuner = tuner_class(network.inner, config, adapter_name=_ADAPTER)
        after = _probe(network)
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"PEFT cannot apply {kind}: {error}", try_="set the arguments that it names") from error
    shared = {name: child for name, child in tuner.named_children() if name != "model"}
    for name, child in shared.items():  # weights that all layers share live on the tuner; only the network's own are trained
        network.inner.add_module(name, child)
    holder = Holder(tuner)
    trainable = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    mergeable = any(hasattr(module, "get_delta_weight") for module in tuner.modules())
    applied = Applied(
        trainable=open_only(network, trainable),
        identity_at_start=_compare(before, after, kind),
        adapter_config=_saved_config(network, config),
        adapter_state=lambda: _clones(get_peft_model_state_dict(holder, adapter_name=_ADAPTER)),
        merge=(lambda: _merge(network, tuner, kind, tuple(shared))) if mergeable else None,
    )
    return applied, holder


def _clones(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in state.items()}


def _merge(network: Network, tuner: Any, kind: str, shared: tuple[str, ...]) -> None:
    try:
        tuner.merge_and_unload()
    except (AttributeError, NotImplementedError, ValueError) as error:
        raise UserError(f"PEFT cannot merge {kind}: {error}", expected="a method with a merged form") from error
    for name in shared:
        delattr(network.inner, name)


def _complete(network: Network, config: Any, known_targets: Mapping[str, Any] | None) -> None:
    """Tell the library what it cannot see: which layers, for a model missing in its table, and Conv1D's transposed weight."""
    missing = known_targets is not None and network.inner.config.model_type not in known_targets
    if missing and getattr(config, "target_modules", ()) is None:
        config.target_modules = [name.removeprefix("inner.") for name in linear_names(network)]
    if getattr(config, "fan_in_fan_out", None) is False:
        config.fan_in_fan_out = any(isinstance(module, Conv1D) for module in network.modules())


class Encoded(Wrapper):
    """A word embedding whose first places are made by the library's prompt network."""

    def __init__(self, base_layer: nn.Module, encoder: nn.Module, count: int) -> None:
        super().__init__(base_layer)
        self.encoder = encoder
        self.register_buffer("places", torch.arange(count), persistent=False)

    def prompt(self) -> Tensor:
        """(tokens, width)."""
        return self.encoder(self.places)  # type: ignore[no-any-return]

    def forward(self, ids: Tensor) -> Tensor:
        prompt = self.prompt()
        text: Tensor = self.base_layer(ids[:, len(prompt) :])
        return torch.cat([prompt.to(text.dtype).expand(len(ids), -1, -1), text], dim=1)


def _p_tuning(network: Network, config: Any) -> Applied:
    """P-tuning (Liu et al. 2021): a prompt made by a small network, saved as the prompt that it makes."""
    from peft import PromptEncoder

    refuse_without_tokens(network, "p_tuning")
    words = network.inner.get_input_embeddings()
    config.num_virtual_tokens = config.num_virtual_tokens or 20
    config.token_dim, config.num_transformer_submodules = words.weight.shape[1], 1
    config.encoder_hidden_size = config.encoder_hidden_size or config.token_dim
    config.num_layers, config.num_attention_heads = len(network.stack.blocks), network.inner.config.num_attention_heads
    make_room(network, config.num_virtual_tokens, "p_tuning")
    wrapper = Encoded(words, PromptEncoder(config), config.num_virtual_tokens).to(network.device)
    network.inner.set_input_embeddings(wrapper)
    own = {id(parameter) for parameter in wrapper.encoder.parameters()}
    return Applied(
        trainable=open_only(network, [name for name, parameter in network.named_parameters() if id(parameter) in own]),
        identity_at_start="every layer reads the virtual words too, so outputs differ from the start on",
        adapter_config=_saved_config(network, config),
        adapter_state=lambda: {"prompt_embeddings": wrapper.prompt().detach().clone()},
    )


def _saved_config(network: Network, config: Any) -> dict[str, Any]:
    """The library's own fields, sets as lists, under our common ones."""
    plain: dict[str, Any] = json.loads(json.dumps(config.to_dict(), default=sorted))
    return {**plain, **peft_format.base_config(network, str(config.peft_type.value))}


@torch.no_grad()
def _probe(network: Network) -> Tensor:
    training = network.training
    output = network.eval()(example_inputs(network.inner, network.processor, network.device))
    network.train(training)
    found: Tensor = output.hidden if isinstance(output, Vocabulary) else output
    return found


def _compare(before: Tensor, after: Tensor, name: str) -> Any:
    moved = float((before - after).abs().max())
    return True if moved < 1e-5 else f"PEFT starts {name} with values that change the outputs (by {moved:.2g} on one example)"
