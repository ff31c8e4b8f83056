"""Train one scale per key, value and feed-forward feature (IA3).

Source: Liu et al. 2022, "Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning",
section 3.3: keys, values and the feed-forward part's inner activations are multiplied by learned vectors that start at one.
Where one projection makes queries, keys and values together (GPT-2, ModernBERT), all of its outputs are scaled.
When: few rows, or very many tasks over one model: some thousand weights per task, and nothing to pay once merged.
When not: enough data for lora, which can do what scaling cannot; and the learning rate has to be high (1e-3 and above).
Nearest: bias_only (adds instead of multiplying), lora.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from tunewright.core.errors import UserError
from tunewright.core.types import Applied
from tunewright.methods._select import linears_in, numbered_blocks, roles, select
from tunewright.methods._tree import Wrapper, matrix, open_only, unwrap, wrap
from tunewright.models import peft_format as peft_format
from tunewright.models.linear import linear_shape
from tunewright.models.network import Network


class Settings(BaseModel):
    """Which layers are scaled; by default those of the paper, found from the module tree."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    targets: tuple[str, ...] | str | None = Field(
        None, description="Patterns for linear layers whose outputs are scaled; None takes keys and values."
    )
    feed_forward: tuple[str, ...] | str | None = Field(
        None, description="Patterns for linear layers whose inputs are scaled; None takes the feed-forward part's last layer."
    )
    layers: tuple[int, ...] | None = Field(
        None, description="Blocks to adapt by number, 0 the lowest, -1 the highest; None adapts all."
    )


class Scaled(Wrapper):
    """A frozen linear layer whose outputs, (outputs, 1), or inputs, (1, inputs), are multiplied by a trained vector."""

    def __init__(self, base_layer: nn.Module, scales_input: bool) -> None:
        super().__init__(base_layer)
        inputs, outputs = linear_shape(base_layer)
        self.scales_input = scales_input
        shape = (1, inputs) if scales_input else (outputs, 1)
        self.ia3_l = nn.Parameter(torch.ones(shape, device=self.weight.device, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        scale = self.ia3_l.view(-1)
        if self.scales_input:
            return self.base_layer((x * scale).to(x.dtype))  # type: ignore[no-any-return]
        plain: Tensor = self.base_layer(x)
        return (plain * scale).to(plain.dtype)


def apply(network: Network, settings: Settings) -> Applied:
    """Wrap the layers to scale; all scales start at one."""
    names = linears_in(network, settings.layers)
    found = [roles(network, block) for block in numbered_blocks(network, settings.layers)]
    outputs = (
        select(names, settings.targets)
        if settings.targets is not None
        else tuple(name for role in found for name in role.key_value)
    )
    inputs = (
        select(names, settings.feed_forward, "feed_forward")
        if settings.feed_forward is not None
        else tuple(
            role.feed_forward_output for role in found if role.feed_forward_output and role.feed_forward_output not in outputs
        )
    )
    twice = set(outputs) & set(inputs)
    if twice:
        raise UserError(f"'{min(twice)}' is in targets and in feed_forward", expected="each layer in one of the two")
    if not outputs and not inputs:
        raise UserError(
            "no key, value or feed-forward layer was found by name and shape", expected="targets and feed_forward patterns"
        )
    return _install(network, {**dict.fromkeys(outputs, False), **dict.fromkeys(inputs, True)})


def load(network: Network, config: dict[str, Any], state: dict[str, Tensor]) -> Applied:
    """Apply an IA3 adapter that tunewright or PEFT saved; each tensor's shape tells what it scales."""
    start, end = peft_format.layer_key(""), ".ia3_l"
    scales = {
        f"inner.{key.removeprefix(start).removesuffix(end)}": value.shape[0] == 1
        for key, value in state.items()
        if key.endswith(end)
    }
    known = dict(network.named_modules())
    missing = [name for name in scales if name not in known]
    if missing or not scales:
        raise UserError(
            f"the adapter scales {missing[:1] or 'nothing'} in this network", expected=f"an IA3 adapter of '{network.base}'"
        )
    applied = _install(network, scales)
    peft_format.fill(network, config, _keys(scales), state)
    return applied


def _install(network: Network, scales: Mapping[str, bool]) -> Applied:
    _ = network.stack  # read before the tree changes
    wrap(network, scales, lambda name, base: Scaled(base, scales[name]))
    keys = _keys(scales)
    return Applied(
        trainable=open_only(network, keys),
        adapter_config=_config(network, scales),
        adapter_state=lambda: peft_format.snapshot(network, keys),
        merge=lambda: _merge(network, scales),
    )


def _keys(scales: Mapping[str, bool]) -> dict[str, str]:
    return {f"{name}.ia3_l": peft_format.layer_key(f"{name}.ia3_l") for name in scales}


def _config(network: Network, scales: Mapping[str, bool]) -> dict[str, Any]:
    bases = [network.get_submodule(f"{name}.base_layer") for name in scales]
    return {
        **peft_format.base_config(network, "IA3"),
        "target_modules": [name.removeprefix("inner.") for name in scales],
        "feedforward_modules": [name.removeprefix("inner.") for name, scales_input in scales.items() if scales_input],
        "fan_in_fan_out": any(not isinstance(base, nn.Linear) for base in bases),
        "exclude_modules": None,
        "init_ia3_weights": True,
    }


@torch.no_grad()
def _merge(network: Network, scales: Mapping[str, bool]) -> None:
    for name in scales:
        wrapper = network.get_submodule(name)
        assert isinstance(wrapper, Scaled)
        matrix(wrapper.base_layer, wrapper.weight).mul_(wrapper.ia3_l)
        if wrapper.bias is not None and not wrapper.scales_input:
            wrapper.bias.mul_(wrapper.ia3_l.view(-1))
    unwrap(network, scales)
