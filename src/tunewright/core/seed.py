"""One seed for every random state, and the states themselves as tensors, so that a run can be repeated and resumed."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor


def seed_everything(seed: int) -> None:
    """Set Python's, NumPy's and torch's generators (all devices)."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def random_states() -> dict[str, Tensor]:
    """The states of torch's generators; the loop draws from no others."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"cuda:{index}": state for index, state in enumerate(torch.cuda.get_rng_state_all())}
    return states


def restore_random_states(states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    devices = [state for name, state in sorted(states.items()) if name.startswith("cuda:")]
    if devices and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(devices)
