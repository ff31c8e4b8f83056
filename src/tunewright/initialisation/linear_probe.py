"""The head starts as the best linear probe on the features of the network as it is.

Source: Kumar et al. 2022, 'Fine-tuning can distort pretrained features', section 4 (LP-FT): a good head first keeps the
features whole. Classification: multinomial logistic regression; several labels: one logistic regression each; numbers: ridge
regression. The strength of the L2 penalty is chosen on a fifth of the training rows. When: almost always. When not: a head
with new hidden layers of its own, whose features are random.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from tunewright.core.types import Labels
from tunewright.models.network import Network

# Penalties tried, as the variance allowed to a weight on features of spread 1, from strict to loose (a guess).
_STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3)


class Settings(BaseModel):
    """How the penalty is chosen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strength: float | None = Field(
        None, gt=0, description="Variance allowed to each weight; None chooses on held-out training rows."
    )
    iterations: int = Field(100, ge=1, le=10_000, description="L-BFGS iterations at most.")


def initialise(
    network: Network, features: Callable[[], np.ndarray], targets: np.ndarray, labels: Labels, settings: Settings, seed: int
) -> str:
    """Fit the probe and write it into the last linear layer, exactly folded back to the features' own scale."""
    linear = network.last_linear
    x, y = torch.from_numpy(features()), _wanted(targets, labels)
    centre, spread = x.mean(0), float(x.std()) or 1.0
    scaled = (x - centre) / spread if linear.bias is not None else x / spread
    strength = settings.strength or _choose(scaled, y, labels, linear.bias is not None, settings.iterations, seed)
    weight, bias = _fit(scaled, y, labels, strength, linear.bias is not None, settings.iterations)
    with torch.no_grad():
        linear.weight.copy_(weight / spread)
        if linear.bias is not None:
            linear.bias.copy_(bias - (weight / spread) @ centre)
    return f"the head starts as a linear probe on {len(x)} rows (weight variance {strength:g})"


def _wanted(targets: np.ndarray, labels: Labels) -> Tensor:
    if labels.task in ("regression", "similarity"):
        return (torch.from_numpy(targets).float() - labels.mean) / labels.spread
    return torch.from_numpy(targets)


def _losses(logits: Tensor, y: Tensor, labels: Labels) -> Tensor:
    """Summed loss over the rows."""
    if labels.task == "classification":
        return functional.cross_entropy(logits, y, reduction="sum")
    if labels.task == "multi_label":
        return functional.binary_cross_entropy_with_logits(logits, y, reduction="sum")
    return (logits.squeeze(1) - y).square().sum() / 2


def _choose(x: Tensor, y: Tensor, labels: Labels, has_bias: bool, iterations: int, seed: int) -> float:
    """The strength with the lowest loss on a fifth of the rows, fitted on the rest."""
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    held, kept = order[: max(1, len(x) // 5)], order[max(1, len(x) // 5) :]
    if not len(kept):
        return _STRENGTHS[len(_STRENGTHS) // 2]
    found = {}
    start: tuple[Tensor, Tensor] | None = None
    for strength in _STRENGTHS:
        start = _fit(x[kept], y[kept], labels, strength, has_bias, iterations, start)
        found[strength] = float(_losses(x[held] @ start[0].T + start[1], y[held], labels))
    return min(found, key=lambda strength: found[strength])


def _fit(
    x: Tensor,
    y: Tensor,
    labels: Labels,
    strength: float,
    has_bias: bool,
    iterations: int,
    start: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Weights (outputs, width) and bias (outputs,) that minimise summed loss plus half the squared weights over ``strength``."""
    shape = (labels.outputs, x.shape[1])
    weight = (torch.zeros(shape) if start is None else start[0].clone()).requires_grad_()
    bias = (torch.zeros(shape[0]) if start is None else start[1].clone()).requires_grad_(has_bias)
    parameters = [weight, bias] if has_bias else [weight]
    optimiser = torch.optim.LBFGS(
        parameters, max_iter=iterations, history_size=10, line_search_fn="strong_wolfe", tolerance_change=1e-7
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = (_losses(x @ weight.T + bias, y, labels) + weight.square().sum() / (2 * strength)) / len(x)
        value.backward()
        return value

    with torch.enable_grad():
        optimiser.step(loss)  # type: ignore[arg-type]
    return weight.detach(), bias.detach()
