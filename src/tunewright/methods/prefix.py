"""Train key and value vectors that every layer's attention reads before the text (prefix tuning).

Source: Li and Liang 2021, "Prefix-Tuning", section 4; as in Liu et al. 2022, "P-Tuning v2", section 3.2, the vectors are
trained directly, without a network that makes them. They start as the frozen model's own keys and values of some words
(Li and Liang 2021, section 7.4: with little data, activations of real words beat random vectors by far).
When: a decoder or BERT-like encoder that must stay bit for bit as it was, with one small tensor per task and layer.
When not: models whose attention takes no cached keys (DistilBERT, MPNet, DeBERTa, ModernBERT, ALBERT, T5), which is
refused; deep classification on few rows, where lora is steadier. Learned positions lose as many places as the prefix has.
Nearest: prompt (first layer only), ia3.
"""

from __future__ import annotations

from inspect import signature
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from transformers import DynamicCache

from tunewright.core.errors import UserError
from tunewright.core.types import Applied
from tunewright.methods._select import roles
from tunewright.methods._tree import open_only
from tunewright.methods._virtual_tokens import (
    check_room,
    drop_places,
    lengthen,
    positional,
    refuse_too_long,
    refuse_two_stacks,
    refuse_without_tokens,
    word_ids,
)
from tunewright.models import peft_format as peft_format
from tunewright.models.network import Network


class Settings(BaseModel):
    """Length and start of the prefix."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: int = Field(
        20, ge=1, le=1024, description="Virtual tokens per layer (Liu et al. 2022, section 3.3: about 20 for classification)."
    )
    words: str | None = Field(None, description="Words whose keys and values start the prefix; None takes the label names.")


def apply(network: Network, settings: Settings) -> Applied:
    """Give every block its prefix, starting from words."""
    refuse_without_tokens(network, "prefix")
    check_room(network, settings.tokens)
    return _install(network, _of_words(network, word_ids(network, settings.words, settings.tokens)))


def load(network: Network, config: dict[str, Any], state: dict[str, Tensor]) -> Applied:
    """Apply a prefix that tunewright or PEFT saved; PEFT keeps all layers side by side in one matrix."""
    flat = state.get("prompt_embeddings")
    if flat is None:
        raise UserError("the adapter holds no prompt_embeddings", expected="a prefix saved by tunewright or peft")
    heads, size = _of_words(network, [0])[0].shape[2:]
    layers = len(network.stack.blocks)
    if flat.ndim != 2 or flat.shape[1] != layers * 2 * heads * size:
        raise UserError(
            f"the prefix has shape {tuple(flat.shape)}", expected=f"(tokens, {layers * 2 * heads * size}) for '{network.base}'"
        )
    applied = _install(network, list(flat.reshape(len(flat), layers, 2, heads, size).unbind(1)))
    peft_format.fill(network, config, {}, {key: value for key, value in state.items() if key != "prompt_embeddings"})
    return applied


def _install(network: Network, keys_values: list[Tensor]) -> Applied:
    """``keys_values``: for each block (tokens, 2, heads, size); kept on its key projection, where the stack finds its depth."""
    backbone = network.inner.base_model
    at = _start_of(network, backbone)
    hosts = [roles(network, block).key_value[0] for block in network.stack.blocks]
    for host, value in zip(hosts, keys_values, strict=True):
        owner = network.get_submodule(host)
        owner.register_parameter("prefix", nn.Parameter(value.to(network.device, torch.float32).clone()))
    count = len(keys_values[0])
    room = check_room(network, count)
    relative = [host.removeprefix(at) for host in hosts]
    sliding = "sliding_attention" in (getattr(network.inner.config, "layer_types", None) or ())

    def attend_before(module: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[()], dict[str, Any]]:
        named = positional(arguments, named)
        ids = named["input_ids"]
        refuse_too_long(ids.shape[1], room)
        drop_places(named)
        cache = DynamicCache(config=module.config) if sliding else DynamicCache()
        for layer, host in enumerate(relative):
            prefix = module.get_submodule(host).prefix  # (tokens, 2, heads, size)
            keys, values = prefix.permute(1, 2, 0, 3).unsqueeze(1).expand(2, len(ids), -1, -1, -1)
            cache.update(keys, values, layer)
        mask = lengthen(named.get("attention_mask"), ids, count)
        return (), {**named, "attention_mask": mask, "past_key_values": cache}

    backbone.register_forward_pre_hook(attend_before, with_kwargs=True)
    names = [f"{host}.prefix" for host in hosts]
    return Applied(
        trainable=open_only(network, names),
        identity_at_start="the attention of every layer reads the prefix too, so outputs differ from the start on",
        adapter_config=_config(network, keys_values[0], len(hosts)),
        adapter_state=lambda: {"prompt_embeddings": _flat(network, names)},
    )


def _start_of(network: Network, backbone: Any) -> str:
    """The dotted path of the backbone inside the network, closing dot included."""
    names = {id(module): name for name, module in network.named_modules()}
    return f"{names[id(backbone)]}."


def _flat(network: Network, names: list[str]) -> Tensor:
    """PEFT's one matrix: (tokens, layers · 2 · heads · size)."""
    return torch.stack([network.get_parameter(name).detach() for name in names], dim=1).flatten(1)


def _config(network: Network, keys_values: Tensor, layers: int) -> dict[str, Any]:
    tokens, _, heads, size = keys_values.shape
    return {
        **peft_format.base_config(network, "PREFIX_TUNING"),
        "num_virtual_tokens": tokens,
        "token_dim": heads * size,
        "num_attention_heads": heads,
        "num_layers": layers,
        "num_transformer_submodules": 1,
        "encoder_hidden_size": heads * size,
        "prefix_projection": False,
    }


@torch.no_grad()
def _of_words(network: Network, ids: list[int]) -> list[Tensor]:
    """What each layer's attention would keep of these tokens: per layer (tokens, 2, heads, size)."""
    refuse_two_stacks(network, "prefix")
    backbone = network.inner.base_model
    _ = network.stack  # read before the tree changes
    cache = DynamicCache()
    if "past_key_values" in signature(backbone.forward).parameters:
        training = backbone.training
        tokens = torch.tensor([ids], device=network.device)
        backbone.eval()(input_ids=tokens, attention_mask=torch.ones_like(tokens), past_key_values=cache)
        backbone.train(training)
    if len(cache.layers) != len(network.stack.blocks) or any(layer.keys is None for layer in cache.layers):
        raise UserError(
            f"the attention of {type(network.inner).__name__} takes no keys and values from outside",
            expected="a model of the kind of BERT, RoBERTa, ELECTRA, GPT-2, Llama, Qwen or Gemma",
            try_="method: lora",
        )
    return [torch.stack([layer.keys[0], layer.values[0]]).permute(2, 0, 1, 3) for layer in cache.layers]
