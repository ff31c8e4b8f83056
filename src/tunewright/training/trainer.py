"""The training loop: one visible order of things, for every method, schedule and unfreezing.

Each step: open the layers that are due, set each group's rate, make one optimizer step, tell the callbacks. At each
evaluation: score the validation rows, keep the best, obey what the callbacks asked for, save.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch

from tunewright.core.errors import UserError
from tunewright.core.registry import load_part
from tunewright.core.seed import random_states, restore_random_states
from tunewright.core.sharding import shared_as, whole
from tunewright.core.types import EvaluationResult, Stage, TrainerControl
from tunewright.training.callback import notify
from tunewright.training.checkpoint import Checkpoint, optimizer_tensors, restore_optimizer
from tunewright.training.context import TrainerState, TrainingContext, TrainingResult
from tunewright.training.evaluate import higher_is_better, validation_scores
from tunewright.training.events import (
    HISTORY_EVENTS,
    EvaluationEnd,
    Event,
    LayersUnfrozen,
    Save,
    StageMessages,
    StepEnd,
    TrainBegin,
    TrainEnd,
)
from tunewright.training.fsdp import in_shares
from tunewright.training.interrupts import Interrupted, waiting_for_the_step
from tunewright.training.optimizer import build_optimizer, open_groups, rates_by_depth, set_rates
from tunewright.training.stages import moving_names, open_layers, reads_by_cut, stages_of
from tunewright.training.step import Diverged, StepOut, optimizer_step
from tunewright.training.weight_averaging import Averages


def train(job: TrainingContext, *, resume: bool = False) -> TrainingResult:
    """Train until the last step, the budget, a callback's request or a signal; leaves the best weights in the network.

    Raises UserError when the loss or gradient stops being a number (the last good checkpoint stays on disk), and
    Interrupted after saving when a signal asked for an end.
    """
    job.world.broadcast(list(job.network.state_dict(keep_vars=True).values()))  # a probe's last bits may differ
    with in_shares(job) as here, here.gradients.by_rows():
        return _Loop(here).run(resume)


class _Loop:
    """One run of the loop; its attributes are the state that lives from step to step."""

    def __init__(self, job: TrainingContext) -> None:
        self.job = job
        self.state = TrainerState()
        self.parameters = dict(job.network.named_parameters())
        self.stages = stages_of(job)
        self.steps_per_epoch = job.steps_per_epoch
        self.total = job.total_steps
        self.best: dict[str, torch.Tensor] = {}
        self.saved = -1  # the step of the last checkpoint
        self.started = time.monotonic()

    def run(self, resume: bool) -> TrainingResult:
        job = self.job
        epochs = self.total / self.steps_per_epoch
        job.forward.plan(reads_by_cut(job.network, job.applied.trainable, self.stages, epochs), job.train, job.validation)
        self._open_layers(self.stages[0])
        self.optimizer = build_optimizer(job, self.stages[0].open_from)
        self.averages = Averages(job, self._moving_at_end())
        self.regularizers = tuple(
            load_part("regularizers", choice.name).prepare(
                job.network, self._moving_at_end(), load_part("regularizers", choice.name).Settings(**choice.settings)
            )
            for choice in job.recipe.regularizers
        )
        if resume:
            self._restore()
        self._notify(_train_begin(self))
        state = self.state
        if job.start is not None and not resume:
            self._score_start()
        with waiting_for_the_step() as asked:
            while state.epoch < job.epochs and not state.reason:
                for window in job.windows(state.epoch)[state.window :]:
                    self._step(window)
                    if number := int(job.world.all_reduce_max(asked.signal or 0)):
                        self._save()
                        raise Interrupted(number)
                    if state.reason:
                        break
                else:
                    state.epoch, state.window = state.epoch + 1, 0
        return self._finish()

    def _step(self, window: list) -> None:  # type: ignore[type-arg]
        job, state = self.job, self.state
        self._enter_stage()
        progress = self._progress()
        set_rates(self.optimizer, job, progress, state.evaluations)
        try:
            out = optimizer_step(job, self.optimizer, window, self.regularizers)
        except Diverged as error:
            self._notify(TrainEnd("diverged"))
            raise UserError(
                f"training diverged at step {state.step + 1}: {error}; the last good checkpoint is kept",
                try_="a lower optimization.learning_rate or optimization.head_learning_rate, training.max_grad_norm=1.0, or "
                "training.precision=float32",
            ) from error
        state.step, state.window = state.step + 1, state.window + 1
        state.loss_sum, state.count = state.loss_sum + out.loss_sum, state.count + out.count
        self.averages.update(state.step)
        self._notify(self._step_end(out, progress))
        every = job.recipe.training.checkpoint_steps
        if self._evaluation_is_due():
            self._evaluate()
            if not state.reason and (state.step >= self.total or self._spent()):
                state.reason = "all steps done" if state.step >= self.total else "time budget spent"
            self._save()
        elif every is not None and state.step % every == 0:
            self._save()

    def _enter_stage(self) -> None:
        """Open the layers whose time has come."""
        state = self.state
        progress = state.step / self.total
        due = state.stage
        while due + 1 < len(self.stages) and self.stages[due + 1].start <= progress + 1e-9:
            due += 1
        if due != state.stage or state.step == 0:
            state.stage = due
            self._open()

    def _open(self) -> None:
        stage = self.stages[self.state.stage]
        self._open_layers(stage)
        self._open_groups()
        self._notify(LayersUnfrozen(self.state.step, stage.open_from, stage.name))

    def _open_groups(self) -> None:
        """The groups of every stage so far join in the order of the stages, in a resumed run as in the first."""
        for stage in self.stages[: self.state.stage + 1]:
            open_groups(self.optimizer, self.job, stage.open_from)

    def _open_layers(self, stage: Stage) -> None:
        self.job.forward.cut_at(open_layers(self.job.network, self.job.applied.trainable, stage.open_from))

    def _progress(self) -> float:
        """Share of the run that is over: by steps, or by time where a budget ends it sooner."""
        budget = self.job.recipe.training.budget_seconds
        by_time = 0.0 if budget is None else self._elapsed() / budget
        return min(1.0, max(self.state.step / self.total, by_time))

    def _elapsed(self) -> float:
        return self.job.world.broadcast_number(self.state.seconds + time.monotonic() - self.started)

    def _spent(self) -> bool:
        budget = self.job.recipe.training.budget_seconds
        return budget is not None and self._elapsed() >= budget

    def _evaluation_is_due(self) -> bool:
        """At the end of each share of an epoch, and at the very end."""
        state, shares = self.state, self.job.recipe.training.evaluations_per_epoch
        marks = {round(self.steps_per_epoch * (share + 1) / shares) for share in range(shares)}
        return state.window in marks or state.step >= self.total or self._spent()

    def _evaluate(self) -> None:
        job, state = self.job, self.state
        job.world.broadcast(list(job.network.buffers()))  # each process has seen other rows
        scores = validation_scores(job)
        value = scores.get(job.monitor)
        if value is None:
            raise UserError(
                f"the metric '{job.monitor}' is undefined on the validation rows",
                expected="validation rows on which it can be computed",
                try_="--set evaluation.monitor=loss",
            )
        better = self._is_better(value, scores["loss"])
        train_loss = state.loss_sum / max(state.count, 1e-12)
        state.loss_sum = state.count = 0.0
        state.evaluations.append(EvaluationResult(state.step, state.step / self.total, scores, value, better))
        if better:
            state.best_step, state.best_value, state.best_loss = state.step, value, scores["loss"]
            self.best = {name: tensor.detach().clone() for name, tensor in self._moving().items()}
        self.averages.observe(value)
        requests = self._notify(
            EvaluationEnd(
                step=state.step,
                epoch=state.step / self.steps_per_epoch,
                progress=state.step / self.total,
                train_loss=train_loss,
                scores=scores,
                better=better,
                seconds=self._elapsed(),
            )
        )
        self._obey([TrainerControl(**one) for one in job.world.broadcast_object([asdict(request) for request in requests])])

    def _score_start(self) -> None:
        """Score the network before its first step: it stays the best until an evaluation has a lower loss."""
        scores = validation_scores(self.job)
        value, loss = scores.get(self.job.monitor), scores.get("loss")
        if value is None or loss is None or not math.isfinite(loss):
            return
        state = self.state
        state.best_step, state.best_value, state.best_loss, state.start_loss = 0, value, loss, loss
        self.best = {name: tensor.detach().clone() for name, tensor in self._moving().items()}
        self._notify(StageMessages("start", (f"the {self.job.start} has a validation loss of {loss:.4g}",)))
        self._save()

    def _is_better(self, value: float, loss: float) -> bool:
        """By the monitored metric among those of lower loss than the start; of equal values, frequent where validation rows are
        few, the one with the lower loss.
        """
        state = self.state
        best = state.best_value
        if state.start_loss is not None:
            if not loss < state.start_loss:
                return False
            best = None if state.best_step == 0 else best
        if best is None or value == best:
            return best is None or loss < (self.state.best_loss or 0.0)
        return value > best if higher_is_better(self.job.monitor) else value < best

    def _obey(self, requests: list[TrainerControl]) -> None:
        unfreezing = load_part("unfreezing", self.job.recipe.unfreezing.name)
        settings = unfreezing.Settings(**self.job.recipe.unfreezing.settings)
        due = hasattr(unfreezing, "advance") and unfreezing.advance(self.state.evaluations, settings)
        if (due or any(request.next_stage for request in requests)) and self.state.stage + 1 < len(self.stages):
            self.state.stage += 1
            self._open()
        stop = next((request for request in requests if request.stop), None)
        if stop is not None:
            self.state.reason = stop.reason

    def _finish(self) -> TrainingResult:
        state = self.state
        assert state.best_step is not None
        assert state.best_value is not None
        assert state.best_loss is not None
        self._load(self.best)
        averaged = () if state.best_step == 0 else self._average()
        loss = validation_scores(self.job)["loss"] if averaged else state.best_loss
        self.job.network.eval()
        self._notify(TrainEnd(state.reason))
        lowest = min((one.scores["loss"] for one in state.evaluations), default=state.best_loss)
        return TrainingResult(
            state.step, state.best_step, state.best_value, state.reason, self._elapsed(), loss, lowest, state.start_loss, averaged
        )

    def _average(self) -> tuple[dict[str, Any], ...]:
        return self.averages.finish({name: self.best[name] for name in self._moving_at_end()})

    def _load(self, tensors: dict[str, torch.Tensor]) -> None:
        moving = self._moving()
        with torch.no_grad():
            for name, tensor in tensors.items():
                moving[name].copy_(shared_as(tensor, moving[name]))

    def _moving(self) -> dict[str, torch.Tensor]:
        """Every tensor that training changes: parameters, and the running statistics of the layers that will be open."""
        stack, names = self.job.network.stack, self._moving_at_end()
        cut = min(stack.depth_of(name) for name in names)
        buffers = {name for group in stack.groups if group.depth >= cut for name in group.buffers}
        state = self.job.network.state_dict(keep_vars=True)
        return {name: self.parameters[name] for name in names} | {name: state[name] for name in sorted(buffers & state.keys())}

    def _moving_at_end(self) -> tuple[str, ...]:
        return moving_names(self.job.network, self.job.applied.trainable, min(stage.open_from for stage in self.stages))

    def _save(self) -> None:
        if self.job.checkpoints is None or self.saved == self.state.step:
            return
        self._notify(Save(self.state.step))
        state = asdict(self.state) | {"seconds": self._elapsed(), "most_rows": self.job.passes.most_rows}
        random = self.job.world.gather(random_states())
        if self.job.world.is_main_process or self.job.sharded:
            weights, optimizer = (
                {name: whole(tensor) for name, tensor in part.items()}
                for part in (self._moving(), optimizer_tensors(self.optimizer))
            )
            if self.job.world.is_main_process:
                checkpoint = Checkpoint(weights, optimizer, random, self.averages.tensors(), state)
                self._say(self.job.checkpoints.write(checkpoint))
        self.saved = self.state.step

    def _restore(self) -> None:
        """Continue from the newest whole checkpoint: same weights, optimizer, random states and position."""
        assert self.job.checkpoints is not None
        found = self.job.checkpoints.newest()
        self._say(found.said)
        last = found.checkpoint
        evaluations = [EvaluationResult(**entry) for entry in last.state["evaluations"]]
        self.state = TrainerState(**last.state | {"evaluations": evaluations})
        self.saved = self.state.step
        self.job.passes.most_rows = self.state.most_rows
        self._load(last.weights)
        moving = self._moving()
        self.best = {name: shared_as(tensor, moving[name]) for name, tensor in (found.best or self._best_anew()).items()}
        self._open_layers(self.stages[self.state.stage])
        self._open_groups()
        restore_optimizer(self.optimizer, last.optimizer)
        self.averages.restore(last.averages)
        random = self.job.world.own(last.random)
        if random is not None:  # None: fewer processes saved it
            restore_random_states(random)

    def _best_anew(self) -> dict[str, torch.Tensor]:
        """Where the best weights are lost, those of this very step are the best so far if it was evaluated."""
        state = self.state
        state.start_loss = None
        here = state.evaluations[-1] if state.evaluations and state.evaluations[-1].step == state.step else None
        if here is None:
            state.best_step = state.best_value = state.best_loss = None
            return {}
        state.best_step, state.best_value, state.best_loss = here.step, here.monitor, here.scores["loss"]
        return {name: tensor.detach().clone() for name, tensor in self._moving().items()}

    def _say(self, said: Sequence[str]) -> None:
        if said:
            self._notify(StageMessages("checkpoint", tuple(said)))

    def _notify(self, event: Event) -> list[TrainerControl]:
        self.state.told += isinstance(event, HISTORY_EVENTS)
        return notify(self.job.callbacks, event)

    def _step_end(self, out: StepOut, progress: float) -> StepEnd:
        return StepEnd(
            step=self.state.step,
            epoch=self.state.step / self.steps_per_epoch,
            progress=progress,
            loss=out.loss,
            rate=rates_by_depth(self.optimizer),
            grad_norm=out.grad_norm,
            seconds=self._elapsed(),
        )


def _waited(evaluations: Sequence[EvaluationResult]) -> int:
    """Evaluations since the last that was better."""
    return next((place for place, one in enumerate(reversed(evaluations)) if one.better), len(evaluations))


def _train_begin(loop: _Loop) -> TrainBegin:
    names = loop._moving_at_end()
    return TrainBegin(
        steps=loop.total,
        epochs=loop.job.epochs,
        rows=len(loop.job.train),
        parameters=sum(parameter.numel() for parameter in loop.parameters.values()),
        trainable=sum(loop.parameters[name].numel() for name in names),
        resumed_at=loop.state.step,
        history_lines=loop.state.told,
        waited=_waited(loop.state.evaluations),
    )
