"""The learning-rate finder: raise the rate step by step, watch the loss, suggest a rate, put everything back.

Source: Smith 2017 (cyclical learning rates), section 3.3. The suggestion is the rate of the steepest fall of the smoothed
loss before its minimum, never above a third of the rate at the minimum; `benchmarks/rate_finder.py` publishes its error.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tunewright.core.errors import UserError


@dataclass(frozen=True)
class Found:
    """The sweep: rates, losses as they were and smoothed, and the rate suggested, with the reason in words."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggestion: float
    reason: str


def find_rate(
    step: Callable[[float], float], *, low: float = 1e-6, high: float = 1.0, steps: int = 60, smoothing: float = 0.8
) -> Found:
    """Call ``step(rate)`` -> loss with rates growing exponentially from ``low`` to ``high``; stops when the loss explodes.

    ``smoothing``: share of the past in the smoothed loss (a guess).
    """
    if not 0 < low < high or steps < 8:
        raise UserError(
            f"a sweep from {low:g} to {high:g} in {steps} steps is not possible", expected="0 < low < high and 8 steps or more"
        )
    rates: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    average = 0.0
    for number in range(steps):
        rate = low * (high / low) ** (number / (steps - 1))
        try:
            loss = step(rate)
        except ArithmeticError:
            break
        if not math.isfinite(loss):
            break
        average = smoothing * average + (1 - smoothing) * loss
        rates.append(rate)
        losses.append(loss)
        smoothed.append(average / (1 - smoothing ** (number + 1)))
        if number > steps // 4 and smoothed[-1] > 2 * min(smoothed):
            break
    suggestion, reason = suggest(rates, smoothed)
    return Found(tuple(rates), tuple(losses), tuple(smoothed), suggestion, reason)


def suggest(rates: list[float], smoothed: list[float]) -> tuple[float, str]:
    """The rate of the steepest fall before the minimum, at most a third of the rate at the minimum."""
    if len(rates) < 4:
        raise UserError("the loss exploded at the lowest rates", try_="a lower --low")
    lowest = int(np.argmin(smoothed))
    if lowest < 2:
        return rates[0], "the loss never fell: the lowest rate tried is all that can be suggested"
    slopes = np.gradient(np.array(smoothed[: lowest + 1]), np.log(np.array(rates[: lowest + 1])))
    steepest = rates[int(np.argmin(slopes))]
    bound = rates[lowest] / 3
    if steepest <= bound:
        return steepest, f"the loss falls fastest at {steepest:.2g} and is lowest at {rates[lowest]:.2g}"
    return bound, f"a third of {rates[lowest]:.2g}, where the loss is lowest (it falls fastest just before)"


@contextmanager
def restored(network: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Put back weights, buffers, modes, optimizer state and every random state, bit for bit, whatever happens inside."""
    weights = [(tensor, tensor.detach().clone()) for tensor in (*network.parameters(), *network.buffers())]
    modes = [(module, module.training) for module in network.modules()]
    gradients = [(parameter, parameter.requires_grad, _copied(parameter.grad)) for parameter in network.parameters()]
    state = copy.deepcopy(optimizer.state_dict())
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    on_gpu = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in weights:
                tensor.copy_(value)
        for module, training in modes:
            module.training = training
        for parameter, wanted, gradient in gradients:
            parameter.requires_grad_(wanted)
            parameter.grad = gradient
        optimizer.load_state_dict(state)
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        if on_gpu:
            torch.cuda.set_rng_state_all(on_gpu)


def _copied(gradient: Tensor | None) -> Tensor | None:
    return None if gradient is None else gradient.detach().clone()
