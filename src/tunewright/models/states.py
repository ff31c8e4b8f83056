"""What each block of a network makes of an example, as one vector: its hidden states, averaged over tokens or places."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor

from tunewright.models.frames import mean_over_frames
from tunewright.models.network import Network
from tunewright.models.prefix import hidden_of, run_telling


def block_states(network: Network, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Block name -> (batch, width), lowest first; padding does not count. A block that runs again counts as it was last."""
    found: dict[str, Tensor] = {}
    mask = inputs.get("attention_mask")

    def keep(name: str, output: Any) -> None:
        found[name] = _average(hidden_of(output), mask)

    run_telling(network, inputs, {group.modules[0]: partial(keep, group.name) for group in network.stack.blocks})
    if network.form.kind == "video":
        found = {name: mean_over_frames(states, inputs) for name, states in found.items()}
    return {group.name: found[group.name] for group in network.stack.blocks if group.name in found}


def _average(states: Tensor, mask: Tensor | None) -> Tensor:
    """(batch, tokens, width) or (batch, channels, height, width) to one vector for each example."""
    states = states.float()
    if states.ndim == 4:
        return states.mean((2, 3))
    if states.ndim < 3:
        return states
    if mask is None or mask.shape != states.shape[:2]:
        return states.mean(1)
    weights = mask.to(states.dtype)[..., None]
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)
