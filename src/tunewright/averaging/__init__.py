"""Averages of weights along or after a run; kept only where validation says that they are no worse.

Contract, all on dictionaries from parameter name to tensor: ``begin(parameters, settings)`` -> memory (saved with every
checkpoint); ``update(memory, parameters, step, settings)`` after each optimizer step; ``observe(memory, parameters, value,
settings)`` after each evaluation, ``value`` being the better the higher; ``finish(memory, best, score, settings)`` ->
``Averaged`` at the end, where ``score`` tells how good given weights are on validation, the higher the better.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Averaged:
    """The weights an averaging proposes, what it did in words, and its curve as rows of numbers under ``columns``."""

    weights: Tensors
    said: str
    columns: tuple[str, ...] = ()
    table: tuple[tuple[float, ...], ...] = ()
