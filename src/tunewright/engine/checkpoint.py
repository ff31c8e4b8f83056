"""Checkpoints that are whole or absent: tensors and JSON in a temporary folder, hashed, renamed, then rotated."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tunewright.core.errors import UserError
from tunewright.core.files import hash_file, read_json, read_tensors, sync_folder, write_json, write_tensors


@dataclass(frozen=True)
class Checkpoint:
    """One saved moment: the tensors that move, the optimiser's and the random states, and the loop's counters."""

    weights: dict[str, Tensor]
    optimiser: dict[str, Tensor]
    random: dict[str, Tensor]
    averages: dict[str, Tensor]
    state: dict[str, Any]


def write_checkpoint(folder: Path, checkpoint: Checkpoint, *, keep: set[int]) -> None:
    """Write ``folder/step-N`` and point ``index.json`` at it; steps not in ``keep`` are removed afterwards."""
    step = int(checkpoint.state["step"])
    final = folder / f"step-{step}"
    temporary = folder / f".step-{step}.tmp-{os.getpid()}"
    if temporary.exists():
        shutil.rmtree(temporary)
    temporary.mkdir(parents=True)
    for name in ("weights", "optimiser", "random", "averages"):
        write_tensors(temporary / f"{name}.safetensors", getattr(checkpoint, name))
    write_json(temporary / "state.json", checkpoint.state)
    write_json(temporary / "manifest.json", {path.name: hash_file(path) for path in sorted(temporary.iterdir())})
    if final.exists():
        shutil.rmtree(final)
    temporary.rename(final)
    sync_folder(folder)
    write_json(folder / "index.json", {"last": step, "best": checkpoint.state["best_step"]})
    for old in folder.glob("step-*"):
        if int(old.name.removeprefix("step-")) not in {*keep, step}:
            shutil.rmtree(old)


def checkpoint_steps(folder: Path) -> dict[str, int | None]:
    """Steps of the last and the best checkpoint."""
    found: dict[str, int | None] = read_json(folder / "index.json")
    return found


def read_checkpoint(folder: Path, step: int) -> Checkpoint:
    """Read one checkpoint whose every file still has the hash it was written with."""
    place = folder / f"step-{step}"
    manifest = read_json(place / "manifest.json")
    for name, digest in manifest.items():
        if not (place / name).is_file() or hash_file(place / name) != digest:
            raise UserError(
                f"the checkpoint file {place / name} is damaged or missing", try_="an earlier checkpoint, or a new run"
            )
    tensors = {name: read_tensors(place / f"{name}.safetensors") for name in ("weights", "optimiser", "random", "averages")}
    return Checkpoint(**tensors, state=read_json(place / "state.json"))


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's state by '<index of the parameter>.<name>', numbers as tensors."""
    state = optimiser.state_dict()["state"]
    return {
        f"{index}.{name}": value.clone() if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
        for index, values in state.items()
        for name, value in values.items()
        if value is not None
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put saved tensors back; the groups stay as they were built."""
    plain = optimiser.state_dict()
    state: dict[int, dict[str, Tensor | float]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value.item() if value.dtype == torch.float64 else value
    optimiser.load_state_dict({"state": state, "param_groups": plain["param_groups"]})
