"""The averages of a run: fed by the loop, and at the end kept where validation says that they are no worse."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tunewright.core.registry import load_part
from tunewright.training.context import TrainingContext
from tunewright.training.evaluate import higher_is_better, validation_scores


class Averages:
    """All averagings that the recipe names, over the parameters that move."""

    def __init__(self, job: TrainingContext, names: tuple[str, ...]) -> None:
        self.job = job
        parameters = dict(job.network.named_parameters())
        self.parameters: dict[str, Tensor] = {name: parameters[name] for name in names}
        self.parts = [(load_part("averaging", choice.name), choice) for choice in job.recipe.averaging]
        self.settings = [part.Settings(**choice.settings) for part, choice in self.parts]
        self.memories = [
            part.begin(self.parameters, settings) for (part, _), settings in zip(self.parts, self.settings, strict=True)
        ]
        self.sign = 1.0 if higher_is_better(job.monitor) else -1.0

    def update(self, step: int) -> None:
        for (part, _), memory, settings in zip(self.parts, self.memories, self.settings, strict=True):
            part.update(memory, self.parameters, step, settings)

    def observe(self, value: float) -> None:
        for (part, _), memory, settings in zip(self.parts, self.memories, self.settings, strict=True):
            part.observe(memory, self.parameters, self.sign * value, settings)

    def finish(self, best: dict[str, Tensor]) -> tuple[dict[str, Any], ...]:
        """Load each average that is no worse than what there is; returns what each did, for the report."""
        told = []
        for (part, choice), memory, settings in zip(self.parts, self.memories, self.settings, strict=True):
            averaged = part.finish(memory, best, self._score, settings)
            before, after = self._score(best), self._score(averaged.weights)
            wanted = getattr(settings, "alpha", None) is not None
            kept = wanted or after >= before
            best = averaged.weights if kept else best
            values = f"validation {self.sign * after:.4f} against {self.sign * before:.4f}"
            said = f"{averaged.said}: {values}, {'kept' if kept else 'not kept'}"
            rows = [[row[0], *(self.sign * value for value in row[1:])] for row in averaged.table]
            told.append({"name": choice.name, "said": said, "columns": list(averaged.columns), "table": rows})
        self._load(best)
        return tuple(told)

    def tensors(self) -> dict[str, Tensor]:
        """All memories as one dictionary, for a checkpoint."""
        return {f"{index}|{name}": tensor for index, memory in enumerate(self.memories) for name, tensor in memory.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        for memory in self.memories:
            memory.clear()
        for key, tensor in tensors.items():
            index, name = key.split("|", 1)
            self.memories[int(index)][name] = tensor.to(self.job.network.device) if tensor.ndim else tensor

    def _score(self, weights: dict[str, Tensor]) -> float:
        self._load(weights)
        return self.sign * validation_scores(self.job)[self.job.monitor]

    @torch.no_grad()
    def _load(self, weights: dict[str, Tensor]) -> None:
        for name, tensor in weights.items():
            self.parameters[name].copy_(tensor)
