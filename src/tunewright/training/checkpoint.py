"""Checkpoints: the saved moments of a run, of which enough stay that no damage to one of them costs the run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from tunewright.core.differences import differing
from tunewright.core.errors import UserError
from tunewright.core.files import hash_json, read_json, read_tensors, tensor_bytes
from tunewright.core.sharding import shared_as
from tunewright.core.storage import DISK, Storage
from tunewright.core.versions import versions
from tunewright.training.checkpoint_folder import (
    Unusable,
    clear_left_over,
    folders,
    read_manifest,
    remove_folder,
    step_of,
    verify,
    write_folder,
)

_TENSORS = ("weights", "optimizer", "random", "averages")
_MOST_SHOWN = 8  # differences of two recipes that are told; a guess


@dataclass(frozen=True)
class Checkpoint:
    """One saved moment: the tensors that move, the optimizer's and the random states, and the loop's counters."""

    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    random: dict[str, Tensor]
    averages: dict[str, Tensor]
    state: dict[str, Any]


@dataclass(frozen=True)
class Found:
    """The newest whole checkpoint, the best weights so far (None where they are lost or there are none), what to tell."""

    checkpoint: Checkpoint
    best: dict[str, Tensor] | None
    said: tuple[str, ...]


@final
class Checkpoints:
    """The checkpoints of one run: the last, the one before it, and the best as each of them knows it stay on disk.

    ``recipe`` and ``data`` (a hash of the rows) are what the run is made of: those of another run are not continued.
    """

    def __init__(self, folder: Path, recipe: Mapping[str, Any] | None = None, data: str = "", storage: Storage = DISK) -> None:
        self.folder = folder
        self.storage = storage
        self.recipe = dict(recipe or {})
        self.run = {"recipe": hash_json(self.recipe), "data": data}
        self._last: Path | None = None
        self._best: Path | None = None
        self._needed: set[Path] = set()  # what the last checkpoint needs: itself and its best
        self._left_out: set[Path] = set()

    def write(self, checkpoint: Checkpoint) -> tuple[str, ...]:
        """Write ``step-N``, then remove what no longer is needed; returns warnings.

        Raises UserError when the disk refuses it; the former checkpoints stay.
        """
        if self._last is None:
            clear_left_over(self.folder)
        step, best_step = int(checkpoint.state["step"]), checkpoint.state["best_step"]
        about = {"best_step": best_step, "run": self.run, "versions": versions()}
        try:
            place = write_folder(self.folder, step, self._files(checkpoint), about, self.storage)
        except OSError as error:
            stays = f"{self._last.name} stays" if self._last else "there is none before it"
            raise UserError(
                f"the checkpoint of step {step} could not be written to {self.folder}: {error.strerror or error}; {stays}",
                expected="a disk with room that can be written",
                try_=f"tunewright resume {self.folder.parent} when it is mended",
            ) from error
        self._last, self._best = place, place if best_step == step else self._best
        former, self._needed = self._needed, {place} if self._best is None else {place, self._best}
        return tuple(self._rotate(former | self._needed))

    def newest(self) -> Found:
        """The newest checkpoint that is whole and of this run; UserError where there is none, saying why of each."""
        clear_left_over(self.folder)
        there = folders(self.folder)
        said = []
        for place in there:
            try:
                checkpoint = self._read(place)
            except Unusable as error:
                self._left_out.add(place)
                said.append(f"{place.name} is left out and stays as it is: {error}")
                continue
            self._last, self._needed = place, {place}
            if said:
                said.append(f"the run continues from {place.name}")
            return self._with_best(checkpoint, place, said)
        if folders(self.folder) != there:  # its trainer wrote newer ones meanwhile
            return self.newest()
        raise UserError(
            f"no checkpoint in {self.folder} can be continued from: {'; '.join(said) or 'there is none'}",
            expected="a whole checkpoint of this run",
            try_="the same recipe and rows, or a new run",
        )

    def _files(self, checkpoint: Checkpoint) -> Iterator[tuple[str, bytes]]:
        """Names and contents, one at a time in memory."""
        for name in _TENSORS:
            yield f"{name}.safetensors", tensor_bytes(getattr(checkpoint, name))
        state = {**checkpoint.state, "recipe": self.recipe}
        yield "state.json", json.dumps(state, indent=2, ensure_ascii=False, allow_nan=False).encode()

    def _rotate(self, kept: set[Path]) -> Iterator[str]:
        """Remove this run's other checkpoints; what cannot be removed is told."""
        for place in folders(self.folder):
            if place in kept or place in self._left_out:
                continue
            try:
                if read_manifest(place).get("run") == self.run:
                    remove_folder(place, self.storage)
            except Unusable:
                continue  # not known to be ours
            except OSError as error:
                yield f"the old checkpoint {place.name} could not be removed: {error.strerror or error}"

    def _read(self, place: Path) -> Checkpoint:
        manifest = verify(place)
        try:
            state = read_json(place / "state.json")
            recipe = state.pop("recipe")
            if manifest["run"] != self.run:
                raise Unusable(f"it is of another run ({self._difference(recipe, manifest['run'])})")
            return Checkpoint(**{name: read_tensors(place / f"{name}.safetensors") for name in _TENSORS}, state=state)
        except (UserError, KeyError, AttributeError) as error:
            raise Unusable(f"it lacks what a checkpoint has: {error}") from None

    def _difference(self, recipe: dict[str, Any], run: dict[str, str]) -> str:
        changed = [f"{key}: {there} there, {here} here" for key, (there, here) in differing(recipe, self.recipe).items()]
        rows = ["other rows"] if run.get("data") != self.run["data"] else []
        return ", ".join((rows + changed)[:_MOST_SHOWN]) or "its recipe differs"

    def _with_best(self, checkpoint: Checkpoint, place: Path, said: list[str]) -> Found:
        """The best weights so far lie in the same checkpoint or in another one."""
        step = checkpoint.state["best_step"]
        if step is None:
            return Found(checkpoint, None, tuple(said))
        places = [place] if step == step_of(place) else [other for other in folders(self.folder) if step_of(other) == step]
        for other in places:
            try:
                best = checkpoint if other == place else self._read(other)
            except Unusable as error:
                self._left_out.add(other)
                said.append(f"{other.name} is left out and stays as it is: {error}")
                continue
            self._best = other
            self._needed.add(other)
            return Found(checkpoint, best.weights, tuple(said))
        self._best = place  # if it was evaluated
        said.append(
            f"the weights of the best evaluation so far, at step {step}, are lost; training goes on, and the best is chosen "
            f"among the evaluations from step {step_of(place)} on"
        )
        return Found(checkpoint, None, tuple(said))


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimizer's state by '<index of the parameter>.<name>', numbers as tensors."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value.clone() if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
        for index, values in state.items()
        for name, value in values.items()
        if value is not None
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put saved tensors back; the groups stay as they were built."""
    plain = optimizer.state_dict()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor | float]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        parameter = parameters[int(index)]
        value = shared_as(value, parameter) if value.shape == parameter.shape else value
        state.setdefault(int(index), {})[name] = value.item() if value.dtype == torch.float64 else value
    optimizer.load_state_dict({"state": state, "param_groups": plain["param_groups"]})
