"""Arithmetic: precision and thread count, decided by timing a batch of the run's own rows.

A processor with units for bfloat16 gains a factor from it and one without loses; threads that share cores with other
work can cost more than they bring. Neither can be told from a name, so both are measured, and what was chosen and why is
written into the manifest. bfloat16 is only taken where its outputs agree with float32's.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from tunewright.datasets.encoded import EncodedDataset, batch
from tunewright.models.network import Network, evaluation_mode
from tunewright.training.forward import compared
from tunewright.training.predict import arithmetic

Precision = Literal["float32", "bfloat16"]

_GAIN = 1.2  # a choice away from float32, or from the fewest threads, must be this much faster (a guess)
_SMALL = 1e9  # operations of a batch below which nothing is gained by measuring (a guess)
_ROUNDS = 3
_ROWS = 32
_AGREEMENT = 0.05  # of the outputs' norm; bfloat16 keeps 8 bits, 24 layers lose about three of them


@dataclass(frozen=True)
class Arithmetic:
    """What a run computes with; ``measured`` has (precision, threads, seconds per batch)."""

    precision: Precision
    threads: int
    why: str
    measured: tuple[tuple[str, int, float], ...] = ()


def choose_arithmetic(network: Network, examples: EncodedDataset, precision: str, threads: int | None) -> Arithmetic:
    """What is asked for; what is left open ('auto', None) is the fastest of what was tried on a typical batch."""
    available = torch.get_num_threads()
    if network.device.type == "cuda":
        supported = torch.cuda.is_bf16_supported()
        auto: Precision = "bfloat16" if supported else "float32"
        return Arithmetic(_named(precision) or auto, threads or available, f"the device computes {auto}")
    wanted = _named(precision)
    if wanted is not None and threads is not None:
        return Arithmetic(wanted, threads, "as the recipe says")
    rows = np.argsort(examples.encoded.lengths, kind="stable")[max(0, len(examples) // 2 - _ROWS // 2) :][:_ROWS]
    if _operations(network, examples, rows) < _SMALL:
        return Arithmetic(wanted or "float32", threads or available, "the network is too small for a difference")
    precisions: tuple[Precision, ...] = ("float32", "bfloat16") if wanted is None else (wanted,)
    agreed = wanted is not None or _agree(network, examples, rows)
    measured = _measure(network, examples, rows, precisions if agreed else ("float32",), _counts(available, threads))
    best = min(measured, key=lambda one: measured[one])
    for plainer in sorted(measured, key=lambda one: (one[0] != "float32", one[1])):
        if measured[plainer] <= measured[best] * _GAIN:
            best = plainer
            break
    said = ", ".join(f"{name} with {count} {1e3 * seconds:.0f} ms" for (name, count), seconds in measured.items())
    why = f"a batch of {len(rows)} rows took: {said} (threads)" + ("" if agreed else "; bfloat16 does not agree with float32")
    return Arithmetic(best[0], best[1], why, tuple((*kind, seconds) for kind, seconds in measured.items()))


def _named(precision: str) -> Precision | None:
    return precision if precision in ("float32", "bfloat16") else None  # type: ignore[return-value]


def _counts(available: int, threads: int | None) -> tuple[int, ...]:
    """Thread counts to try: one, half of what there is, all."""
    return (threads,) if threads is not None else tuple(sorted({1, max(1, available // 2), available}))


def _operations(network: Network, examples: EncodedDataset, rows: np.ndarray) -> float:
    """Multiplications and additions of the blocks' matrices on a batch."""
    names = {name for group in network.stack.blocks for name in group.parameters}
    weights = sum(parameter.numel() for name, parameter in network.named_parameters() if name in names)
    return 2.0 * weights * len(rows) * float(examples.encoded.lengths[rows].max(initial=0))


def _agree(network: Network, examples: EncodedDataset, rows: np.ndarray) -> bool:
    inputs = batch(examples, rows, network.reads, network.device)
    with evaluation_mode(network):
        exact = compared(network(inputs))
        with arithmetic(network, "bfloat16"):
            rounded = compared(network(inputs))
    return bool((exact - rounded).norm() <= _AGREEMENT * exact.norm())


def _measure(
    network: Network, examples: EncodedDataset, rows: np.ndarray, precisions: tuple[Precision, ...], counts: tuple[int, ...]
) -> dict[tuple[Precision, int], float]:
    """Best seconds of a forward pass in each way, tried in turns so that other work on the machine meets all alike."""
    inputs, before = batch(examples, rows, network.reads, network.device), torch.get_num_threads()
    seconds: dict[tuple[Precision, int], float] = {}
    try:
        for round_ in range(_ROUNDS + 1):
            for count in counts:
                torch.set_num_threads(count)
                for precision in precisions:
                    with evaluation_mode(network), arithmetic(network, precision):
                        started = time.perf_counter()
                        network(inputs)
                        took = time.perf_counter() - started
                    if round_:  # the first one warms up
                        seconds[precision, count] = min(took, seconds.get((precision, count), took))
    finally:
        torch.set_num_threads(before)
    return seconds
