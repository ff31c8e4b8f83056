"""Events: what callbacks receive. Frozen, typed, with one way to a dict (``to_dict``) and one way back (``history_event``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from tunewright.core.errors import UserError

Status = Literal["finished", "failed", "interrupted"]


@dataclass(frozen=True)
class Event:
    """Something that happened in a run; ``KIND`` names it in ``history.jsonl``."""

    KIND: ClassVar[str] = ""

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.KIND, **asdict(self)}


@dataclass(frozen=True)
class RunBegin(Event):
    """A run has its folder; ``resumed`` where an interrupted run continues in it."""

    KIND = "run_begin"
    folder: Path
    recipe: Mapping[str, Any]
    resumed: bool = False


@dataclass(frozen=True)
class StageMessages(Event):
    """Messages of one stage of the pipeline: data, model, training, evaluation, reports."""

    KIND = "messages"
    stage: str
    messages: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainBegin(Event):
    """The training loop begins, or continues after step ``resumed_at``.

    ``history_lines``: steps, evaluations and unfreezings before it. ``waited``: evaluations since the best one.
    """

    KIND = "train_begin"
    steps: int
    epochs: int
    rows: int
    parameters: int
    trainable: int
    resumed_at: int = 0
    history_lines: int = 0
    waited: int = 0


@dataclass(frozen=True)
class StepEnd(Event):
    """One optimizer step; ``rate`` is the learning rate by depth, ``grad_norm`` the norm before clipping."""

    KIND = "step"
    step: int
    epoch: float
    progress: float
    loss: float
    rate: Mapping[str, float]
    grad_norm: float | None
    seconds: float


@dataclass(frozen=True)
class EvaluationEnd(Event):
    """One evaluation on the validation rows; ``train_loss`` is the mean since the one before."""

    KIND = "evaluation"
    step: int
    epoch: float
    progress: float
    train_loss: float
    scores: Mapping[str, float | None]
    better: bool
    seconds: float


@dataclass(frozen=True)
class LayersUnfrozen(Event):
    """Layers of depth ``open_from`` and above train from this step on."""

    KIND = "stage"
    step: int
    open_from: int
    name: str = ""


@dataclass(frozen=True)
class Save(Event):
    """A checkpoint is about to be written: what a callback writes now lies on the disk before the checkpoint that counts it."""

    KIND = "save"
    step: int


@dataclass(frozen=True)
class TrainEnd(Event):
    """The training loop ended, for this reason."""

    KIND = "train_end"
    reason: str


@dataclass(frozen=True)
class RunEnd(Event):
    """A run that began has ended, however; ``scores`` are those of the test rows where it got that far."""

    KIND = "run_end"
    status: Status
    error: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)


HistoryEvent = StepEnd | EvaluationEnd | LayersUnfrozen
HISTORY_EVENTS = (StepEnd, EvaluationEnd, LayersUnfrozen)  # the lines of history.jsonl


def history_event(line: Mapping[str, Any]) -> HistoryEvent:
    """The event that a line of ``history.jsonl`` was written from."""
    fields = {key: value for key, value in line.items() if key != "kind"}
    for event in HISTORY_EVENTS:
        if line.get("kind") == event.KIND:
            try:
                return event(**fields)
            except TypeError as error:
                raise UserError(f"a line of the history is not a whole '{event.KIND}' event: {error}") from None
    raise UserError(f"the history has a line of kind {line.get('kind')!r}", expected="step, evaluation or stage")
