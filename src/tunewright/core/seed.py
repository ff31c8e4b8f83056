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
    """The states of torch's, NumPy's and Python's generators; wav2vec 2.0 draws its masks from NumPy's."""
    states = {"cpu": torch.get_rng_state(), "numpy": _of_numpy(), "python": torch.tensor(random.getstate()[1])}
    if torch.cuda.is_available():
        states |= {f"cuda:{index}": state for index, state in enumerate(torch.cuda.get_rng_state_all())}
    return states


def _of_numpy() -> Tensor:
    """The Mersenne Twister's words and the place among them, (625,) int64."""
    _, key, place, *_ = np.random.get_state(legacy=True)
    return torch.from_numpy(np.append(np.asarray(key, dtype=np.int64), int(place)))


def restore_random_states(states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    if "numpy" in states:
        *key, place = states["numpy"].tolist()
        np.random.set_state(("MT19937", np.array(key, dtype=np.uint32), place, 0, 0.0))
    if "python" in states:
        random.setstate((3, tuple(states["python"].tolist()), None))
    devices = [state for name, state in sorted(states.items()) if name.startswith("cuda:")]
    if devices and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(devices)
