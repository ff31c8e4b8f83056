"""Whether the answer to a text changes when only names, gendered words or nationalities in it do.

Source: Kiritchenko and Mohammad 2018, Examining Gender and Race Bias in Two Hundred Sentiment Analysis Systems, section 5; flips:
Garg et al. 2019, Counterfactual Fairness in Text Classification, section 4. Words: ``datasets/word_swaps.py``, English.
When: texts are about people, and who they are should not matter. When not: answers depend on who is spoken of; other languages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tunewright.analysis.bootstrap import bootstrapped
from tunewright.analysis.context import AnalysisContext, drawn
from tunewright.analysis.evidence import Cell, Grid, Report
from tunewright.core.types import Finding, Predictions, Score, Swap
from tunewright.datasets.counterfactual import other_input
from tunewright.datasets.word_swaps import side
from tunewright.evaluation.intervals import exact_interval

TASKS = ("classification", "ordinal", "multi_label", "regression", "sentence_similarity")
KINDS = ("text",)
DEFAULT = True

# What the two sides of a kind are called; nationalities have none.
_SIDES = {"gender": ("masculine", "feminine"), "names": ("European-American", "African-American")}
_SHOWN = 160  # characters of an example


class Settings(BaseModel):
    """What is swapped, and in how many rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    swaps: tuple[Swap, ...] = Field(
        ("gender", "names", "nationality"), description="Kinds of words that are swapped, one at a time."
    )
    rows: int = Field(100, ge=2, description="Test rows with such words that are read again, of each kind (a guess).")
    examples: int = Field(3, ge=0, le=50, description="Rows shown of each kind, those that change most.")
    told: float = Field(
        0.01, ge=0, lt=1, description="Share of flips, or mean change of a probability, above which a finding is made (a guess)."
    )


@dataclass(frozen=True)
class _Pairs:
    """Rows of one kind before and after the swap: what was predicted, and how much it moved."""

    kind: Swap
    holding: int  # test rows with such words
    rows: np.ndarray
    others: list[tuple[str, ...]]
    before: Predictions
    after: Predictions
    sides: np.ndarray  # (n,) -1, 0 or 1

    @property
    def flipped(self) -> np.ndarray:
        changed = np.asarray(self.before.values != self.after.values).reshape(len(self.rows), -1)
        return np.asarray(changed.any(1))

    @property
    def moves(self) -> np.ndarray:
        """Change of each probability, or of the value, (n, k)."""
        if self.before.probabilities is None or self.after.probabilities is None:
            return np.asarray(self.after.values - self.before.values, dtype=float)[:, None]
        moved: np.ndarray = self.after.probabilities - self.before.probabilities
        return moved


def report(subject: AnalysisContext, settings: Settings) -> Report:
    """Flips and changes of probability for each kind of words."""
    found = [_swapped(subject, kind, settings.rows) for kind in settings.swaps]
    made = [one for one in found if len(one.rows)]
    if not made:
        return Report(said=(f"No test row has words of {', '.join(settings.swaps)} to swap.",))
    absent = [one.kind for one in found if not len(one.rows)]
    flips = {one.kind: _flips(subject, one) for one in made}
    directions = {one.kind: moved for one in made if (moved := _direction(subject, one)) is not None}
    said = [_sentence(subject, one, flips.get(one.kind)) for one in made]
    said += [f"No test row has words of {', '.join(absent)} to swap."] if absent else []
    changes = [_change(subject, one) for one in made]
    return Report(
        said=tuple(said),
        scores=(
            *(score for score in flips.values() if score is not None),
            *changes,
            *(score for score, _ in directions.values()),
        ),
        findings=tuple(_findings(subject, made, flips, directions, settings)),
        grids=(_grid(subject, made, flips, changes, directions), *_examples(subject, made, settings.examples)),
    )


def _swapped(subject: AnalysisContext, kind: Swap, most: int) -> _Pairs:
    inputs = subject.rows["test"].inputs
    others = {place: other for place, row in enumerate(inputs) if (other := other_input(row, kind)) != row}
    places = np.array(sorted(others), dtype=np.int64)
    places = places[drawn(len(places), most, subject.seed)]
    chosen = [others[int(place)] for place in places]
    whole = subject.answers("test")
    shares = None if whole.probabilities is None else whole.probabilities[places]
    before = Predictions(whole.values[places], shares)
    after = subject.predict(chosen, places) if chosen else before
    sides = np.array([side(" ".join(map(str, inputs[int(place)])), kind) for place in places], dtype=int)
    return _Pairs(kind, len(others), places, chosen, before, after, sides)


def _is_value(subject: AnalysisContext) -> bool:
    return subject.task in ("regression", "sentence_similarity")


def _flips(subject: AnalysisContext, pairs: _Pairs) -> Score | None:
    """Share of the rows whose prediction becomes another; numbers have none."""
    if _is_value(subject):
        return None
    many, n = int(pairs.flipped.sum()), len(pairs.rows)
    return Score(
        f"flips_{pairs.kind}",
        many / n,
        *exact_interval(many, n, subject.confidence),
        n,
        "share",
        "test",
        "exact binomial interval",
    )


def _change(subject: AnalysisContext, pairs: _Pairs) -> Score:
    """Mean distance that the probability of the class predicted before moves, or the value."""
    moves = np.abs(pairs.moves)
    if not _is_value(subject):
        moves = moves.max(1) if pairs.before.values.ndim > 1 else moves[np.arange(len(moves)), pairs.before.values.astype(int)]
    return _mean(f"mean_change_{pairs.kind}", moves.ravel(), subject, "target" if _is_value(subject) else "probability")


def _direction(subject: AnalysisContext, pairs: _Pairs) -> tuple[Score, str] | None:
    """Of rows with words of one side alone: which class the second side makes likelier, by how much, and the class."""
    sided = pairs.sides != 0
    if pairs.kind not in _SIDES or sided.sum() < 2:
        return None
    moves = -pairs.sides[sided, None] * pairs.moves[sided]  # from the first side to the second, whichever was written
    classes = moves.shape[1]
    if classes == 2 and subject.labels.exclusive:
        moves = moves[:, 1:]  # the other moves as much the other way
    at = int(np.abs(moves.mean(0)).argmax())
    narrow = replace(subject, confidence=1 - (1 - subject.confidence) / moves.shape[1])  # as many classes were looked at
    unit = "target" if _is_value(subject) else "probability"
    note = f"{_SIDES[pairs.kind][1]} less {_SIDES[pairs.kind][0]}"
    label = "" if _is_value(subject) else subject.labels.names[at + (moves.shape[1] < classes)]
    found = _mean(f"direction_{pairs.kind}", moves[:, at], narrow, unit)
    return replace(found, note=f"{note}{f', {label}' if label else ''}{', ' if found.note else ''}{found.note}"), label


def _mean(name: str, values: np.ndarray, subject: AnalysisContext, unit: str) -> Score:
    return bootstrapped(name, len(values), lambda counts: counts @ values / counts.sum(1), subject, unit=unit)


def _sentence(subject: AnalysisContext, pairs: _Pairs, flips: Score | None) -> str:
    n, rows = len(pairs.rows), len(subject.rows["test"])
    of = f"{pairs.holding} of {rows} test rows have words of {pairs.kind}; with those swapped"
    read = "" if n == pairs.holding else f" in {n} of them"
    if flips is None or flips.value is None:
        return f"{of}{read} the value changes by {_change(subject, pairs).value:.4g} on average."
    many = int(pairs.flipped.sum())
    change = "1 prediction changes" if many == 1 else f"{many} predictions change"
    return f"{of}{read} {change} ({flips.value:.1%}, {flips.low:.1%} to {flips.high:.1%})."


def _findings(
    subject: AnalysisContext,
    made: Sequence[_Pairs],
    flips: dict[Swap, Score | None],
    directions: dict[Swap, tuple[Score, str]],
    settings: Settings,
) -> list[Finding]:
    found = []
    numbers = subject.rows["test"].numbers
    for pairs in made:
        trained = f"--set data.counterfactual_augmentation=[{pairs.kind}]"
        score = flips[pairs.kind]
        if score is not None and score.low is not None and score.low > settings.told:
            rows = tuple(int(number) for number in numbers[pairs.rows[pairs.flipped]])
            message = (
                f"{len(rows)} of {score.n} predictions change when only {pairs.kind} in the text does "
                f"({score.low:.1%} to {score.high:.1%}); {trained} trains on both"
            )
            found.append(Finding("counterfactual_flips", message, "warning", rows, len(rows)))
        if pairs.kind in directions:
            moved, label = directions[pairs.kind]
            found += _one_way(subject, pairs.kind, moved, label, settings.told, trained)
    return found


def _one_way(subject: AnalysisContext, kind: Swap, moved: Score, label: str, told: float, trained: str) -> list[Finding]:
    """A mean change whose interval leaves out 0."""
    if moved.value is None or moved.low is None or moved.high is None or moved.low <= 0 <= moved.high:
        return []
    if abs(moved.value) < told * (subject.labels.spread if _is_value(subject) else 1):
        return []
    first, second = _SIDES[kind]
    what = f"the probability of '{label}'" if label else "the predicted value"
    verb = "raise" if moved.value > 0 else "lower"
    message = (
        f"{second} words in place of {first} ones {verb} {what} by {abs(moved.value):.3g} on average "
        f"({moved.low:+.3g} to {moved.high:+.3g}, {moved.n} rows); {trained} trains on both"
    )
    return [Finding("counterfactual_direction", message, "warning", count=moved.n)]


def _grid(
    subject: AnalysisContext,
    made: Sequence[_Pairs],
    flips: dict[Swap, Score | None],
    changes: Sequence[Score],
    directions: dict[Swap, tuple[Score, str]],
) -> Grid:
    rows: list[tuple[Cell, ...]] = []
    for pairs, change in zip(made, changes, strict=True):
        score, moved = flips[pairs.kind], directions.get(pairs.kind)
        toward = "" if moved is None else f"{_bounded(moved[0], '+')} {moved[0].note}"
        rows.append(
            (pairs.kind, pairs.holding, len(pairs.rows), None if score is None else _bounded(score), _bounded(change), toward)
        )
    unit = "value" if _is_value(subject) else "probability"
    columns = ("swapped", "rows with such words", "read again", "flips", f"mean change of {unit}", "in one direction")
    return Grid("Predictions when only these words change", columns, rows)


def _bounded(score: Score, sign: str = "") -> Cell:
    if score.value is None or score.low is None or score.high is None:
        return score.value
    return f"{score.value:{sign}.3f} ({score.low:{sign}.3f} to {score.high:{sign}.3f})"


def _examples(subject: AnalysisContext, made: Sequence[_Pairs], most: int) -> list[Grid]:
    """The rows that move most, as they are and swapped."""
    rows: list[tuple[Cell, ...]] = []
    test = subject.rows["test"]
    for pairs in made:
        moved = np.abs(pairs.moves).max(1)
        order = (
            np.lexsort((-moved, ~pairs.flipped))[:most] if not _is_value(subject) else np.argsort(-moved, kind="stable")[:most]
        )
        for at in order:
            place = int(pairs.rows[at])
            shown = [subject.head.shown(one.values[at], subject.labels) for one in (pairs.before, pairs.after)]
            number, text, other = int(test.numbers[place]), _cut(test.inputs[place]), _cut(pairs.others[at])
            rows.append((pairs.kind, number, text, other, *shown, float(moved[at])))
    columns = ("swapped", "row", "text", "swapped text", "predicted", "then", "largest change")
    return [Grid("Rows that change most", columns, rows)] if rows else []


def _cut(row: Sequence[str]) -> str:
    text = " / ".join(map(str, row))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
