"""Parameter groups by depth: discriminative rates, no decay on norms and biases, the head on its own.

Source: Howard and Ruder 2018 (ULMFiT), section 3.2: the rate of layer l-1 is the rate of layer l divided by 2.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from tunewright.core.errors import UserError
from tunewright.core.types import Applied
from tunewright.models.linear import is_linear
from tunewright.models.network import Network
from tunewright.models.norm import is_norm


def param_groups(
    network: Network,
    applied: Applied,
    *,
    backbone: float,
    head: float,
    layer_decay: float = 1.0,
    learning_rates_by_depth: Sequence[float] | None = None,
    weight_decay: float = 0.0,
    open_from: int = 0,
) -> list[dict[str, Any]]:
    """Groups of exactly the parameters that may move, lowest depth first.

    Each group has ``params``, their ``names``, their ``depth``, ``base_lr`` (the rate at factor 1), ``lr`` and ``weight_decay``.
    ``learning_rates_by_depth`` gives the rate of each depth below the head, embeddings first, in place of
    ``backbone`` and ``layer_decay``.
    """
    rates = rates_by_depth(network, backbone, head, layer_decay, learning_rates_by_depth)
    plain = undecayed(network)
    stack, parameters = network.stack, dict(network.named_parameters(remove_duplicate=False))
    own_head, seen = set(network.head_names), set[int]()
    found: dict[tuple[int, float, float], dict[str, Any]] = {}
    for name in dict.fromkeys((*applied.trainable, *network.head_names)):
        depth = stack.head.depth if name in own_head else stack.depth_of(name)
        if (depth < open_from and name not in own_head) or id(parameters[name]) in seen:  # shared tensors have several names
            continue
        seen.add(id(parameters[name]))
        rate = rates[depth] * applied.rate_factors.get(name, 1.0)
        decay = 0.0 if name in plain else weight_decay
        empty: dict[str, Any] = {"params": [], "names": [], "depth": depth, "base_lr": rate, "lr": rate, "weight_decay": decay}
        group = found.setdefault((depth, rate, decay), empty)
        group["params"].append(parameters[name])
        group["names"].append(name)
    return [found[key] for key in sorted(found)]


def rates_by_depth(
    network: Network, backbone: float, head: float, layer_decay: float, learning_rates_by_depth: Sequence[float] | None
) -> list[float]:
    """The rate of every depth of the stack, embeddings first, head last."""
    below = network.stack.depths - 1
    if learning_rates_by_depth is None:
        return [*(backbone * layer_decay ** (below - 1 - depth) for depth in range(below)), head]
    if len(learning_rates_by_depth) != below:
        names = ", ".join(group.name for group in network.stack.groups[:-1])
        raise UserError(
            f"optimization.learning_rates_by_depth has {len(learning_rates_by_depth)} values",
            expected=f"{below}, one for each of: {names}",
        )
    return [*learning_rates_by_depth, head]


def undecayed(network: Network) -> set[str]:
    """Names of what decay would pull towards zero without reason: norms by their type, biases, and every other vector.

    A method's vectors (IA3's scales, DoRA's magnitudes) are among them: their neutral value is not zero.
    """
    return {
        f"{name}.{key}" if name else key
        for name, module in network.named_modules()
        for key, parameter in module.named_parameters(recurse=False)
        if parameter.ndim < 2 or is_norm(module) or _is_scale(module, parameter)
    }


def _is_scale(module: nn.Module, parameter: nn.Parameter) -> bool:
    """Whether a parameter is a vector kept as a column or row: the only one of a module that maps nothing linearly."""
    alone = len(list(module.parameters(recurse=False))) == 1
    return alone and parameter.numel() == max(parameter.shape) and not (is_linear(module) or isinstance(module, nn.Embedding))
