"""The few types that cross room borders; none of them needs torch at run time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Swap = Literal["gender", "names", "nationality"]  # words of a text that are exchanged for others of their kind


@dataclass(frozen=True)
class Score:
    """A measured value with its interval; ``value`` is None where it is undefined, and ``note`` says why."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str = ""
    split: str = "test"
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Finding:
    """Something that was noticed and should be said: ``level`` is 'note', 'warning' or 'fault'."""

    code: str
    message: str
    level: Literal["note", "warning", "fault"] = "note"
    rows: tuple[int, ...] = ()
    count: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class GroupThresholds:
    """Of two classes, the probability above which class number ``given`` is given to a row of each group of a column.

    ``names`` of the groups, in the order of ``thresholds``; a column of numbers is cut at ``edges``.
    """

    column: str
    given: int
    names: tuple[str, ...]
    thresholds: tuple[float, ...]
    edges: tuple[float, ...] = ()


@dataclass(frozen=True)
class Labels:
    """What the targets mean: class names in their stable order, or the mean and spread of a regression's train targets.

    Of question answering, ``mean`` is the share of train rows without an answer. ``thresholds``: of several labels the
    probability from which each is given, one half where there are none. ``costs``: of one class, what it costs to take a row
    of each for another; the same where there are none. ``temperature`` and ``isotonic`` (corners of a curve for each class) scale
    the probabilities of one class or of several. ``groups``: of two classes, from which probability rows of a group are given
    one of them.
    """

    task: str
    names: tuple[str, ...] = ()
    mean: float = 0.0
    spread: float = 1.0
    thresholds: tuple[float, ...] = ()
    costs: tuple[float, ...] = ()
    temperature: float = 1.0
    isotonic: tuple[tuple[tuple[float, float], ...], ...] = ()
    groups: GroupThresholds | None = None
    parts: tuple[tuple[str, Labels], ...] = ()  # of several target columns, by name

    @property
    def outputs(self) -> int:
        """Width of the head's output; of grades, the steps between them."""
        if self.parts:
            return sum(part.outputs for _, part in self.parts)
        return len(self.names) - (self.task == "ordinal") or 1

    @property
    def exclusive(self) -> bool:
        """Whether each row, or each word, has exactly one of the classes."""
        return self.task in ("classification", "token_classification")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Predictions:
    """Decoded outputs of n rows: ``values`` (n,) or (n, classes) for multi-label; ``probabilities`` (n, classes) or None."""

    values: np.ndarray
    probabilities: np.ndarray | None


@dataclass(frozen=True)
class Applied:
    """What a method did to a network.

    ``trainable``: parameter names (of the Network) that may move, the head's not among them.
    ``identity_at_start``: True, or the reason why outputs differ from the plain network right after applying.
    ``rate_factors``: parameter name -> factor on its learning rate (LoRA+).
    ``adapter_config``: PEFT's ``adapter_config.json`` as a dict, when the method saves as an adapter.
    ``adapter_state``: current tensors under PEFT's key names (without the head's), when it saves as an adapter.
    ``merge``: folds the added parts into plain weights in place; None when there is nothing to fold or it cannot be done.
    """

    trainable: tuple[str, ...]
    identity_at_start: Literal[True] | str = True
    rate_factors: Mapping[str, float] = field(default_factory=dict)
    adapter_config: Mapping[str, Any] | None = None
    adapter_state: Callable[[], dict[str, Tensor]] | None = None
    merge: Callable[[], None] | None = None


@dataclass(frozen=True)
class Stage:
    """From ``start`` (fraction of the run, 0 to 1) on, layers of depth >= ``open_from`` train."""

    start: float
    open_from: int
    name: str = ""


@dataclass(frozen=True)
class EvaluationResult:
    """One evaluation during training: at which step, progress (0 to 1), and what was measured on validation."""

    step: int
    progress: float
    scores: Mapping[str, float]
    monitor: float
    better: bool


@dataclass(frozen=True)
class TrainerControl:
    """What a callback asks of the loop."""

    stop: bool = False
    reason: str = ""
    next_stage: bool = False
