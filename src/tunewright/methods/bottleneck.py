"""Train small two-layer networks inserted into frozen blocks (bottleneck adapters).

Source: Houlsby et al. 2019, "Parameter-Efficient Transfer Learning for NLP", section 2; Pfeiffer et al. 2021,
"AdapterFusion", section 3.1; He et al. 2022, "Towards a Unified View", section 3 (parallel form and its scale).

Where each placement sits, in every architecture alike:
- ``houlsby``: on the output of the attention's output projection and on the output of the feed-forward part's last layer,
  both before the dropout, residual sum and norm that follow there: y + scale · up(act(down(y))).
- ``pfeiffer``: on the output of the feed-forward part's last layer only (the paper's search also moved the norms; here
  they stay as they were).
- ``parallel``: reads what the feed-forward part reads and adds to its output: ffn(x) + scale · up(act(down(x))).
``up`` starts at zero, so that the network starts as it was.

When: many tasks over one base model, each a small file; tasks that need new non-linear features.
When not: prediction time counts: unlike lora and ia3, these layers cannot be merged away.
Nearest: lora (parallel, linear, mergeable), prefix.
The saved adapter uses PEFT's file layout with our own type, BOTTLENECK, which PEFT itself does not read.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from tunewright.core.errors import UserError
from tunewright.core.types import Applied
from tunewright.methods._select import Roles, numbered_blocks, roles, width_of
from tunewright.methods._tree import Wrapper, open_only, wrap
from tunewright.models import peft_format as peft_format
from tunewright.models.network import Network


class Settings(BaseModel):
    """Size and place of the inserted networks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    placement: Literal["houlsby", "pfeiffer", "parallel"] = Field(
        "pfeiffer", description="Where they sit (Pfeiffer et al. 2021, section 3.1: one per block is as good as two)."
    )
    size: int = Field(
        64, ge=1, description="Width of the bottleneck, in features (Houlsby et al. 2019, table 1: 64 for all tasks)."
    )
    activation: Literal["relu", "gelu"] = Field(
        "relu", description="Between the two layers (Pfeiffer et al. 2021 and He et al. 2022: relu)."
    )
    scale: float = Field(1.0, gt=0, description="Factor on what is added (He et al. 2022, section 4.6: 4 for the parallel form).")
    layers: tuple[int, ...] | None = Field(
        None, description="Blocks to adapt by number, 0 the lowest, -1 the highest; None adapts all."
    )


class Bottleneck(nn.Module):
    """scale · up(act(down(x))), (…, width) to (…, width), zero at the start."""

    def __init__(self, width: int, settings: Settings, device: torch.device) -> None:
        super().__init__()
        self.down = nn.Linear(width, settings.size, device=device, dtype=torch.float32)
        self.up = nn.Linear(settings.size, width, device=device, dtype=torch.float32)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)
        self.activate = functional.relu if settings.activation == "relu" else functional.gelu
        self.scale = settings.scale

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.up(self.activate(self.down(x.to(self.down.weight.dtype)))) * self.scale
        return added.to(x.dtype)


class Serial(Wrapper):
    """A layer followed by a bottleneck with its own residual."""

    def __init__(self, base_layer: nn.Module, adapter: Bottleneck) -> None:
        super().__init__(base_layer)
        self.adapter = adapter

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.base_layer(x)
        added: Tensor = self.adapter(y)
        return y + added


class Tap(Wrapper):
    """The feed-forward part's first layer; hands what it reads to the ``Parallel`` of the same block."""

    def __init__(self, base_layer: nn.Module, seen: list[Tensor]) -> None:
        super().__init__(base_layer)
        self.seen = seen

    def forward(self, x: Tensor) -> Tensor:
        self.seen[:] = [x]
        return self.base_layer(x)  # type: ignore[no-any-return]


class Parallel(Wrapper):
    """The feed-forward part's last layer, with the bottleneck of what its first layer read added."""

    def __init__(self, base_layer: nn.Module, adapter: Bottleneck, seen: list[Tensor]) -> None:
        super().__init__(base_layer)
        self.adapter = adapter
        self.seen = seen

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.base_layer(x)
        added: Tensor = self.adapter(self.seen.pop())
        return y + added


def apply(network: Network, settings: Settings) -> Applied:
    """Insert the bottlenecks into the blocks."""
    hosts: list[str] = []
    for block in numbered_blocks(network, settings.layers):
        width = width_of(network, block)
        parts = roles(network, block)
        _check(block.name, parts, settings.placement)
        if settings.placement == "parallel":
            seen: list[Tensor] = []
            wrap(network, [str(parts.feed_forward_input)], lambda _, base, seen=seen: Tap(base, seen))  # type: ignore[misc]
            make = lambda _, base, seen=seen, width=width: Parallel(base, Bottleneck(width, settings, network.device), seen)  # noqa: E731
            hosts += wrap(network, [str(parts.feed_forward_output)], make)
        else:
            outputs = parts.attention_output if settings.placement == "houlsby" else ()
            outputs += (str(parts.feed_forward_output),)
            after = lambda _, base, width=width: Serial(base, Bottleneck(width, settings, network.device))  # noqa: E731
            hosts += wrap(network, outputs, after)
    keys = _keys(network, hosts)
    config = {**peft_format.base_config(network, "BOTTLENECK"), **settings.model_dump(mode="json")}
    return Applied(
        trainable=open_only(network, keys),
        adapter_config=config,
        adapter_state=lambda: peft_format.snapshot(network, keys),
    )


def load(network: Network, config: dict[str, Any], state: dict[str, Tensor]) -> Applied:
    """Apply bottlenecks that tunewright saved."""
    settings = Settings(**{key: value for key, value in config.items() if key in Settings.model_fields})
    applied = apply(network, settings)
    peft_format.fill(network, config, {name: peft_format.layer_key(name) for name in applied.trainable}, state)
    return applied


def _keys(network: Network, hosts: list[str]) -> dict[str, str]:
    names = [
        f"{host}.{key}"
        for host in hosts
        for key, _ in network.get_submodule(host).named_parameters()
        if key.startswith("adapter.")
    ]
    return {name: peft_format.layer_key(name) for name in names}


def _check(block: str, parts: Roles, placement: str) -> None:
    needed = {
        "attention output": placement != "houlsby" or parts.attention_output,
        "feed-forward output": parts.feed_forward_output,
        "feed-forward input": placement != "parallel" or parts.feed_forward_input,
    }
    for what, found in needed.items():
        if not found:
            raise UserError(f"{block} has no {what} layer that could be found by name and shape", try_="method: lora")
