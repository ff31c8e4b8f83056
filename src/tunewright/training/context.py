"""TrainingContext: everything the loop needs, put together by the workflow."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from torch import Tensor

from tunewright.config.recipe import Recipe
from tunewright.core.distributed import ALONE, DistributedContext
from tunewright.core.types import Applied, EvaluationResult
from tunewright.datasets.batching import batches
from tunewright.datasets.encoded import EncodedDataset
from tunewright.models.network import Network
from tunewright.tasks import primary_of
from tunewright.training.callback import Callback
from tunewright.training.checkpoint import Checkpoints
from tunewright.training.distillation import Teacher
from tunewright.training.forward import Forward
from tunewright.training.gradients import Gradients
from tunewright.training.microbatches import MicroBatches

_FEWEST_EPOCHS = 3  # however many the rows are (Devlin et al. 2019, appendix A.3: 2 to 4)


@dataclass(frozen=True)
class TrainingContext:
    """A network with its method applied, the data to train and to choose by, and the settings.

    ``wanted`` are the validation rows' targets as metrics read them. ``row_weights`` (n,): what each training row's loss counts.
    ``world``: the processes that share each batch; ``sharded``: and the weights. ``start``: what the network is before the first
    step, in words, where it is kept unless training brings a lower validation loss.
    """

    network: Network
    applied: Applied
    head: ModuleType
    head_settings: Any
    weights: Tensor | None
    train: EncodedDataset
    validation: EncodedDataset
    wanted: np.ndarray
    recipe: Recipe
    forward: Forward
    gradients: Gradients
    passes: MicroBatches
    row_weights: Tensor | None = None
    teacher: Teacher | None = None
    checkpoints: Checkpoints | None = None
    callbacks: tuple[Callback, ...] = ()
    world: DistributedContext = ALONE
    sharded: bool = False
    start: str | None = None

    @property
    def monitor(self) -> str:
        """Metric that decides which evaluation is best."""
        watched = getattr(self.head, "WATCHED", None) or (primary_of(self.head, self.network.labels),)
        return self.recipe.evaluation.monitor or str(watched[0])

    def windows(self, epoch: int) -> list[list[np.ndarray]]:
        """The row numbers of each optimizer step of an epoch: ``accumulate`` batches, the last window may be shorter."""
        training = self.recipe.training
        plan = batches(self.train.encoded.lengths, training.batch_size, seed=self.recipe.seed, epoch=epoch, shuffle=True)
        return [
            plan[start : start + training.gradient_accumulation_steps]
            for start in range(0, len(plan), training.gradient_accumulation_steps)
        ]

    @property
    def steps_per_epoch(self) -> int:
        return len(self.windows(0))

    @property
    def epochs(self) -> int:
        """Passes over the training rows, fewer where there are many."""
        training = self.recipe.training
        enough = (
            training.epochs
            if training.max_train_examples_seen is None
            else math.ceil(training.max_train_examples_seen / len(self.train))
        )
        return min(training.epochs, max(enough, _FEWEST_EPOCHS))

    @property
    def total_steps(self) -> int:
        planned = self.steps_per_epoch * self.epochs
        return min(planned, self.recipe.training.max_steps or planned)


@dataclass
class TrainerState:
    """Where the loop is; all of it is saved, so that a resumed run is the same run."""

    step: int = 0
    epoch: int = 0
    window: int = 0
    stage: int = 0
    best_step: int | None = None
    best_value: float | None = None
    best_loss: float | None = None
    start_loss: float | None = None  # of validation before the first step, where that is to be beaten
    loss_sum: float = 0.0
    count: float = 0.0
    seconds: float = 0.0
    evaluations: list[EvaluationResult] = field(default_factory=list)
    told: int = 0  # steps, evaluations and stages told to the callbacks
    most_rows: int | None = None  # that fit into memory at once, where it ran out
    reason: str = ""  # why training ended; empty while it goes on


@dataclass(frozen=True)
class TrainingResult:
    """How training ended: the network holds the best evaluation's weights, or those of the start (``best_step`` 0).

    Validation losses: ``loss`` of what it holds, ``start_loss`` before the first step where that was to be beaten, and
    ``lowest_loss`` of all evaluations.
    """

    steps: int
    best_step: int
    best_value: float
    reason: str
    seconds: float
    loss: float
    lowest_loss: float
    start_loss: float | None = None
    averaged: tuple[dict[str, Any], ...] = ()
