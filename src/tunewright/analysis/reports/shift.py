"""Whether the test rows come from where train came from, or rows in use from where the test rows came from, and what moved.

Features are those of the network before tuning, which knows neither set by heart.

Source: proxy A-distance: Ben-David et al. 2010; classifier two-sample test: Lopez-Paz and Oquab 2017; maximum mean discrepancy:
Gretton et al. 2012; label shift: Lipton, Wang and Smola 2018 (``analysis/two_samples.py``, ``label_shift.py``, ``moved.py``).
When: always between train and test; with ``rows`` before a model meets new data. When not: fewer than some fifty rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tunewright.analysis.context import AnalysisContext, Inputs
from tunewright.analysis.evidence import Grid, Report
from tunewright.analysis.feature_drift import Moved, columns, words
from tunewright.analysis.label_shift import Shares, estimated_shares, same_predictions
from tunewright.analysis.two_samples import Judged, a_distance, classifier_test, mean_discrepancy
from tunewright.core.errors import UserError
from tunewright.core.types import Finding, Predictions, Score
from tunewright.datasets.inputs import inputs_of
from tunewright.datasets.read import read_table
from tunewright.evaluation.intervals import exact_interval

TASKS = ("classification", "regression", "ordinal", "multi_label", "sentence_similarity")
KINDS = ("text", "image", "audio", "table")
DEFAULT = True

_UNLIKELY = 0.01  # p from which a test on features or predictions is a finding; halved where two tests look at one thing
_DISCOVERY = 0.01  # false discovery rate of words and columns that are told: every run asks, and few should be accused
_FEWEST = 20  # rows of each set, below which features say nothing (a guess)
_NAMED = 5  # words or columns in a finding
_SHOWN = 20  # in the table
_MOST_READ = 5000  # rows of each set whose words are counted
_CLASSES_SHOWN = 30
_RESAMPLES = 200  # of the estimated shares, each of which solves a system


class Settings(BaseModel):
    """Which rows are compared, and how many of them the network reads."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: str | None = Field(None, description="A file of rows in use, labels not needed, to compare with the test rows.")
    most: int | None = Field(
        None,
        ge=_FEWEST,
        le=5000,
        description="Most rows of each set that the network reads; None takes a twentieth of train, 100 to 1000.",
    )
    permutations: int = Field(500, ge=100, le=100_000, description="Shuffles behind each p-value (a guess).")


@dataclass(frozen=True)
class _Set:
    """One side: its name, all its rows, and what is predicted for them where that is known or wanted."""

    name: str
    inputs: Inputs
    answers: Predictions | None = None


def report(subject: AnalysisContext, settings: Settings) -> Report:
    """Train against test, or test against the rows of a file."""
    first, second = _sides(subject, settings)
    judged, kernel = _on_features(subject, settings, first.inputs, second.inputs)
    moved = _moved(subject, first.inputs, second.inputs)
    told = [one for one in moved if one.corrected <= _DISCOVERY]
    p, shares = _classes(subject, settings, second)
    scores = (*_feature_scores(judged, kernel, subject), *_class_scores(p, subject, second))
    return Report(
        said=(
            _said_of_features(judged, kernel, first, second, min(len(first.inputs), len(second.inputs))),
            *_said_of_moved(subject, told, len(moved)),
            *_said_of_classes(subject, p, shares, second),
        ),
        scores=scores,
        findings=(
            *_feature_findings(judged, kernel, first, second),
            *_moved_findings(subject, told, first, second),
            *_class_findings(subject, p, shares, second),
        ),
        grids=(*_moved_grid(subject, moved, first, second), *_class_grid(subject, shares, second)),
    )


def _sides(subject: AnalysisContext, settings: Settings) -> tuple[_Set, _Set]:
    test = _Set("test", subject.rows["test"].inputs, _alone(subject, subject.answers("test")))
    if settings.rows is not None:
        found = inputs_of(read_table(settings.rows, "test"), subject.schema)
        if subject.task != "classification":
            return test, _Set(settings.rows, found)
        return test, _Set(settings.rows, found, _alone(subject, subject.predict(found, None)))
    if "train" not in subject.rows:
        raise UserError("the training rows are streamed and cannot be compared", expected="a file", try_="--set rows=FILE")
    return _Set("train", subject.rows["train"].inputs), test


def _alone(subject: AnalysisContext, answers: Predictions) -> Predictions:
    """Answers that the network gives without knowing groups, which other files need not have."""
    if subject.labels.groups is None or answers.probabilities is None:
        return answers
    return Predictions(answers.probabilities.argmax(1), answers.probabilities)


def _on_features(
    subject: AnalysisContext, settings: Settings, first: Inputs, second: Inputs
) -> tuple[Judged, tuple[float, float]] | tuple[None, None]:
    trained = len(subject.rows["train"]) if "train" in subject.rows else 20_000
    most = settings.most or min(1000, max(100, trained // 20))
    if min(len(first), len(second)) < _FEWEST:
        return None, None
    generator = np.random.default_rng(subject.seed)

    def read(rows: Inputs) -> np.ndarray:
        drawn = generator.choice(len(rows), min(most, len(rows)), replace=False)
        return subject.features([rows[index] for index in drawn], True).astype(np.float64)

    one, other = read(first), read(second)
    return classifier_test(one, other, subject.seed), mean_discrepancy(one, other, settings.permutations, subject.seed)


def _moved(subject: AnalysisContext, first: Inputs, second: Inputs) -> list[Moved]:
    """Words of texts, columns of tables; nothing of other kinds."""
    if subject.schema.kind not in ("text", "table") or not first or not second:
        return []
    generator = np.random.default_rng(subject.seed)

    def some(rows: Inputs) -> list[tuple[Any, ...]]:
        return [rows[index] for index in np.sort(generator.permutation(len(rows))[:_MOST_READ])]

    one, other = some(first), some(second)
    return words(one, other) if subject.schema.kind == "text" else columns(one, other, subject.schema.text)


def _classes(subject: AnalysisContext, settings: Settings, second: _Set) -> tuple[float | None, Shares | None]:
    """How likely classes are predicted as for the validation rows, and the shares that they speak for."""
    if subject.task != "classification" or second.answers is None or not len(subject.rows["validation"]):
        return None, None
    held, targets = _alone(subject, subject.answers("validation")).values, subject.rows["validation"].targets
    classes = len(subject.labels.names)
    p = same_predictions(held, second.answers.values, classes, max(1000, settings.permutations), subject.seed)
    resamples = min(_RESAMPLES, subject.resamples)
    values = second.answers.values
    return p, estimated_shares(
        held, targets, values, classes, confidence=subject.confidence, resamples=resamples, seed=subject.seed
    )


def _feature_scores(judged: Judged | None, kernel: tuple[float, float] | None, subject: AnalysisContext) -> tuple[Score, ...]:
    if judged is None or kernel is None:
        why = f"fewer than {_FEWEST} rows of one set"
        return tuple(
            Score(name, None, None, None, 0, "", "test", why) for name in ("proxy_a_distance", "two_sample_accuracy", "mmd")
        )
    low, high = exact_interval(judged.right, judged.n, subject.confidence)
    return (
        Score(
            "proxy_a_distance", judged.a_distance, a_distance(low), a_distance(high), judged.n, "", "test", "from 0, alike, to 2"
        ),
        Score("two_sample_accuracy", judged.accuracy, low, high, judged.n, "share", "test", f"p {judged.p:.2g}, exact"),
        Score("mmd", kernel[0], None, None, judged.n, "", "test", f"squared, unbiased; p {kernel[1]:.2g} by shuffles"),
    )


def _class_scores(p: float | None, subject: AnalysisContext, second: _Set) -> tuple[Score, ...]:
    if p is None:
        return ()
    note = "probability that classes are predicted as on the validation rows"
    return (Score("label_shift_p", p, None, None, len(second.inputs), "", "test", note),)


def _said_of_features(judged: Judged | None, kernel: tuple[float, float] | None, first: _Set, second: _Set, fewer: int) -> str:
    if judged is None or kernel is None:
        return f"{fewer} rows are too few to compare features of {first.name} and {second.name}."
    return (
        f"A classifier tells rows of {first.name} from rows of {second.name} in {judged.accuracy:.1%} of {judged.n} cases "
        f"(p {judged.p:.2g}; proxy A-distance {judged.a_distance:.2f} of 2); kernel means differ with p {kernel[1]:.2g}."
    )


def _feature_findings(
    judged: Judged | None, kernel: tuple[float, float] | None, first: _Set, second: _Set
) -> tuple[Finding, ...]:
    if judged is None or kernel is None or min(judged.p, kernel[1]) > _UNLIKELY / 2:
        return ()
    message = (
        f"rows of {second.name} are not like those of {first.name}: a classifier tells them apart in {judged.accuracy:.1%} "
        f"of the cases (p {judged.p:.2g}; kernel means p {kernel[1]:.2g}); scores on one say less about the other"
    )
    return (Finding("shift", message, "warning", count=judged.n),)


def _what(subject: AnalysisContext) -> str:
    return "words" if subject.schema.kind == "text" else "columns and values"


def _said_of_moved(subject: AnalysisContext, told: list[Moved], tests: int) -> tuple[str, ...]:
    if not tests:
        return ()
    rate = f"at a false discovery rate of {_DISCOVERY:.0%}"
    return (f"{len(told) or 'None'} of {tests} {_what(subject)} moved {rate}.",)


def _moved_findings(subject: AnalysisContext, told: list[Moved], first: _Set, second: _Set) -> tuple[Finding, ...]:
    if not told:
        return ()
    named = "; ".join(_worded(one) for one in told[:_NAMED])
    message = f"{_what(subject)} that moved most from {first.name} to {second.name}: {named} ({len(told)} in all)"
    return (Finding("moved", message, "warning", count=len(told)),)


def _worded(one: Moved) -> str:
    if one.share:
        return f"'{one.name}' {one.first:.1%} to {one.second:.1%} of rows"
    return f"{one.name} {one.first:.4g} to {one.second:.4g} on average"


def _moved_grid(subject: AnalysisContext, moved: list[Moved], first: _Set, second: _Set) -> tuple[Grid, ...]:
    rows = [(one.name, one.first, one.second, one.p, one.corrected) for one in moved[:_SHOWN]]
    columns = ("share of rows with, or mean of", first.name, second.name, "p", "corrected")
    return (Grid(f"{_what(subject).capitalize()} that moved most", columns, rows),) if rows else ()


def _said_of_classes(subject: AnalysisContext, p: float | None, shares: Shares | None, second: _Set) -> tuple[str, ...]:
    if p is None:
        return ()
    said = f"Classes are predicted for {second.name} as for the validation rows with p {p:.2g}"
    few = "" if shares is not None else "; the validation rows are too few to estimate how often each class comes"
    return (f"{said}{few}.",)


def _largest(shares: Shares) -> list[int]:
    """Classes whose known share lies outside of the estimate's interval, the largest difference first."""
    outside = (shares.known < shares.low) | (shares.known > shares.high)
    order = np.argsort(-np.abs(shares.estimated - shares.known))
    return [int(number) for number in order if outside[number]]


def _class_findings(subject: AnalysisContext, p: float | None, shares: Shares | None, second: _Set) -> tuple[Finding, ...]:
    if p is None or p > _UNLIKELY:
        return ()
    named = "" if shares is None else "; ".join(_class_worded(subject, shares, at) for at in _largest(shares)[:_NAMED])
    message = f"classes come otherwise in {second.name} than in the validation rows (p {p:.2g})" + (f": {named}" if named else "")
    return (Finding("label_shift", message, "warning", count=len(second.inputs)),)


def _class_worded(subject: AnalysisContext, shares: Shares, at: int) -> str:
    known, found, low, high = (float(one[at]) for one in (shares.known, shares.estimated, shares.low, shares.high))
    return f"{subject.labels.names[at]} {known:.1%} to {found:.1%} ({low:.1%} to {high:.1%})"


def _class_grid(subject: AnalysisContext, shares: Shares | None, second: _Set) -> tuple[Grid, ...]:
    if shares is None:
        return ()
    order = np.argsort(-np.abs(shares.estimated - shares.known))[:_CLASSES_SHOWN]
    names = subject.labels.names
    rows = [(names[at], *(float(one[at]) for one in (shares.known, shares.estimated, shares.low, shares.high))) for at in order]
    columns = ("class", "validation", f"{second.name}, estimated", "low", "high")
    return (Grid("Shares of classes, from predictions alone", columns, rows),)
