"""The head starts as the best linear probe on the features of the network as it is.

Source: Kumar et al. 2022, 'Fine-tuning can distort pretrained features', section 4 (LP-FT): a good head first keeps the
features whole. Classification: multinomial logistic regression; several labels, and steps between grades: one logistic
regression each; numbers: ridge regression in closed form; several target columns: a probe each. The strength of the L2 penalty
is the strictest whose loss on a held-out fifth of the training rows is within one standard error of the lowest (Breiman et
al. 1984, section 3.4.3). When: almost always. When not: a head with new hidden layers of its own, whose features are random.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from tunewright.core.rounding import spread_or_one
from tunewright.core.types import Labels
from tunewright.models.network import Network

# Regularizers tried, as the variance allowed to a weight on features of spread 1, from strict to loose (a guess).
_STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)

# The penalty is a prior on the weights, so that the right one hardly depends on the number of rows (a guess).
_ROWS_TO_CHOOSE = 3000
_ITERATIONS_TO_CHOOSE = 30

_NUMBERS = ("regression", "sentence_similarity")


class Settings(BaseModel):
    """How the penalty is chosen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strength: float | None = Field(
        None, gt=0, description="Variance allowed to each weight; None chooses on held-out training rows."
    )
    iterations: int = Field(100, ge=1, le=10_000, description="L-BFGS iterations at most.")


def initialize(
    network: Network, features: Callable[[], np.ndarray], targets: np.ndarray, labels: Labels, settings: Settings, seed: int
) -> str:
    """Fit the probe and write it into the last linear layer, exactly folded back to the features' own scale."""
    linear = network.last_linear
    x = torch.from_numpy(features())
    centre, spread = x.mean(0), spread_or_one(x.numpy(), float(x.std(correction=0)))  # torch's sum: a probe keeps its last bits
    has_bias = linear.bias is not None
    scaled = (x - centre) / spread if has_bias else x / spread
    weights, biases = [], []
    for part, wanted in _parts(targets, labels):
        y = _wanted(wanted, part)
        strength = settings.strength or _choose(scaled, y, part, has_bias, settings.iterations, seed)
        weight, bias = _fit(scaled, y, part, strength, has_bias, settings.iterations)
        weights.append(weight)
        biases.append(bias)
    weight, bias = torch.cat(weights), torch.cat(biases)
    with torch.no_grad():
        linear.weight.copy_(weight / spread)
        if has_bias:
            linear.bias.copy_(bias - (weight / spread) @ centre)
    return f"the head starts as a linear probe on {len(x)} rows (weight variance {strength:g})"


def _parts(targets: np.ndarray, labels: Labels) -> Iterator[tuple[Labels, np.ndarray]]:
    """The labels and targets of each target column; of one, all."""
    if not labels.parts:
        yield labels, targets
    for place, (_, part) in enumerate(labels.parts):
        yield part, targets[:, place]


def _wanted(targets: np.ndarray, labels: Labels) -> Tensor:
    if labels.task in _NUMBERS:
        return (torch.from_numpy(targets).float() - labels.mean) / labels.spread
    if labels.task == "ordinal":
        return torch.from_numpy(targets[:, None] > np.arange(labels.outputs)).float()
    return torch.from_numpy(targets).long() if labels.exclusive else torch.from_numpy(targets).float()


def _losses(logits: Tensor, y: Tensor, labels: Labels) -> Tensor:
    """Loss of each row, (rows,)."""
    if labels.exclusive:
        return functional.cross_entropy(logits, y, reduction="none")
    if labels.task in ("multi_label", "ordinal"):
        return functional.binary_cross_entropy_with_logits(logits, y, reduction="none").sum(1)
    return (logits.squeeze(1) - y).square() / 2


def _choose(x: Tensor, y: Tensor, labels: Labels, has_bias: bool, iterations: int, seed: int) -> float:
    """The strictest strength whose loss on held-out rows is within one standard error of the lowest, fitted on the rest."""
    held = _held_out(y, labels, seed)
    if held.all() or not held.any():
        return _STRENGTHS[len(_STRENGTHS) // 2]
    fitted, checked = (torch.nonzero(mask).squeeze(1) for mask in (~held, held))
    fitted, checked = fitted[_spread_out(len(fitted), _ROWS_TO_CHOOSE)], checked[_spread_out(len(checked), _ROWS_TO_CHOOSE)]
    found: dict[float, Tensor] = {}
    start: tuple[Tensor, Tensor] | None = None
    for strength in _STRENGTHS:
        start = _fit(x[fitted], y[fitted], labels, strength, has_bias, min(iterations, _ITERATIONS_TO_CHOOSE), start)
        found[strength] = _losses(x[checked] @ start[0].T + start[1], y[checked], labels)
        best = min(found.values(), key=lambda losses: float(losses.mean()))
        bound = float(best.mean() + best.std(correction=0) / len(best) ** 0.5)
        if float(found[strength].mean()) > bound:
            break  # looser ones fit the noise still better
    return next(strength for strength, losses in found.items() if float(losses.mean()) <= bound)


def _spread_out(count: int, most: int) -> Tensor:
    """At most ``most`` of ``count`` places, evenly spread."""
    return torch.linspace(0, count - 1, min(count, most)).long()


def _held_out(y: Tensor, labels: Labels, seed: int) -> Tensor:
    """A mask of every fifth row, drawn at random, class by class where each row has one class."""
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    if labels.exclusive:
        order = order[torch.argsort(y[order], stable=True)]
    held = torch.zeros(len(y), dtype=torch.bool)
    held[order[4::5]] = True
    return held


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
    if labels.task in _NUMBERS:
        return _ridge(x, y, strength, has_bias)
    shape = (labels.outputs, x.shape[1])
    weight = (torch.zeros(shape) if start is None else start[0].clone()).requires_grad_()
    bias = (torch.zeros(shape[0]) if start is None else start[1].clone()).requires_grad_(has_bias)
    optimizer = torch.optim.LBFGS(
        [weight, bias] if has_bias else [weight],
        max_iter=iterations,
        history_size=10,
        line_search_fn="strong_wolfe",
        tolerance_change=1e-7,
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = (_losses(x @ weight.T + bias, y, labels).sum() + weight.square().sum() / (2 * strength)) / len(x)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        optimizer.step(loss)  # type: ignore[arg-type]
    return weight.detach(), bias.detach()


def _ridge(x: Tensor, y: Tensor, strength: float, has_bias: bool) -> tuple[Tensor, Tensor]:
    """The closed form of the same minimum for squared loss; the bias is not penalised."""
    x, y = x.double(), y.double()
    centre, mean = (x.mean(0), y.mean()) if has_bias else (torch.zeros(x.shape[1]).double(), torch.zeros(()).double())
    normal = (x - centre).T @ (x - centre) + torch.eye(x.shape[1], dtype=torch.float64) / strength
    weight = torch.linalg.solve(normal, (x - centre).T @ (y - mean))
    return weight[None].float(), (mean - weight @ centre)[None].float()
