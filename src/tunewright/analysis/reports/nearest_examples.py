"""Which training rows lie nearest to the worst errors, by the features that the last layer reads.

Source: Caruana et al. 1999, Case-based explanation of non-case-based learning methods; Papernot and McDaniel 2018, Deep k-Nearest
Neighbors, section 3, for the layer's features and the cosine.
When: asking why rows are answered wrongly, and which training rows to look at. When not: training rows may not be shown.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tunewright.analysis.context import AnalysisContext
from tunewright.analysis.evidence import Grid, Report
from tunewright.analysis.tables import worst_errors
from tunewright.core.errors import UserError
from tunewright.core.types import Finding, Score
from tunewright.datasets.inputs import shown_input
from tunewright.datasets.rows import Rows
from tunewright.evaluation.intervals import exact_interval

TASKS = ("classification", "regression", "ordinal", "multi_label", "sentence_similarity")
KINDS = None
DEFAULT = False

_PULLS = 3  # errors that one training row has to be nearest to before it is named (a guess)
_LETTERS = 160  # of a row that are shown


class Settings(BaseModel):
    """How many errors and neighbors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    errors: int = Field(100, ge=1, description="Most errors that are looked at, the worst first.")
    shown: int = Field(20, ge=1, le=200, description="Errors that are shown.")
    neighbors: int = Field(3, ge=1, le=20, description="Training rows for each.")
    max_train_samples: int = Field(5000, ge=1, description="Most training rows that are searched.")


def report(subject: AnalysisContext, settings: Settings) -> Report:
    """The nearest training rows of each error, and those that are near to several."""
    if "train" not in subject.rows:
        raise UserError("the training rows are streamed and cannot be searched", expected="rows in memory")
    test, train = subject.rows["test"], subject.rows["train"]
    wrong = _worst(subject, settings.errors)
    if not len(wrong):
        return Report(said=("No test row is answered wrongly.",))
    searched = subject.sample("train", settings.max_train_samples)
    ours = subject.features([test.inputs[index] for index in wrong], False)
    theirs = subject.features([train.inputs[index] for index in searched], False)
    near, alike = nearest(ours, theirs, settings.neighbors)
    near = searched[near]
    scores = _sides(subject, wrong, near[:, 0])
    return Report(
        said=(f"{len(wrong)} errors beside their nearest of {len(searched)} training rows.", *_said(scores)),
        scores=scores,
        findings=_findings(subject, wrong, near[:, 0], train),
        grids=(_grid(subject, settings, wrong, near, alike),),
    )


def nearest(rows: np.ndarray, others: np.ndarray, many: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and cosines of the nearest others of each row, (rows, many) each, the nearest first."""
    unit = [part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12) for part in (rows, others)]
    cosines = unit[0] @ unit[1].T
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :many]
    return order, np.take_along_axis(cosines, order, 1)


def _worst(subject: AnalysisContext, most: int) -> np.ndarray:
    """Places of the test rows that the model is most wrong about."""
    test = subject.rows["test"]
    found = worst_errors(
        test.targets,
        subject.answers("test"),
        subject.labels,
        numbers=np.arange(len(test)),
        inputs=[""] * len(test),
        shown=lambda *_: "",
        most=most,
    )
    return np.array([one["row"] for one in found], dtype=np.int64)


def _sides(subject: AnalysisContext, wrong: np.ndarray, near: np.ndarray) -> tuple[Score, ...]:
    """How often the nearest row has the class that was predicted, and how often the right one."""
    if subject.task != "classification":
        return ()
    labels, test = subject.rows["train"].targets[near], subject.rows["test"].targets[wrong]
    given = subject.answers("test").values[wrong]
    found = []
    for name, hits in (("nearest_has_predicted_class", labels == given), ("nearest_has_right_class", labels == test)):
        low, high = exact_interval(int(hits.sum()), len(hits), subject.confidence)
        found.append(Score(name, float(hits.mean()), low, high, len(hits), "share", "test", "exact binomial interval"))
    return tuple(found)


def _said(scores: tuple[Score, ...]) -> tuple[str, ...]:
    if not scores:
        return ()
    given, right = scores
    return (
        f"The nearest has the class that was predicted in {given.value:.0%} of them ({given.low:.0%} to {given.high:.0%}), "
        f"the right one in {right.value:.0%} ({right.low:.0%} to {right.high:.0%}).",
    )


def _findings(subject: AnalysisContext, wrong: np.ndarray, near: np.ndarray, train: Rows) -> tuple[Finding, ...]:
    """Training rows nearest to several errors whose class is not the right one of these: mislabeled, or between classes."""
    if subject.task != "classification":
        return ()
    pulled = defaultdict(list)
    for error, row in zip(wrong, near, strict=True):
        if train.targets[row] != subject.rows["test"].targets[error]:
            pulled[int(row)].append(int(error))
    often = sorted((row for row, errors in pulled.items() if len(errors) >= _PULLS), key=lambda row: -len(pulled[row]))
    if not often:
        return ()
    text = shown_input(train.inputs[often[0]], subject.schema.kind)[:80]
    label = subject.head.shown(train.targets[often[0]], subject.labels)
    message = (
        f"{len(often)} training rows are the nearest to {_PULLS} errors and more of other classes: {train.where(often)}; "
        f"the first ('{text}', {label}) to {len(pulled[often[0]])}; look at their labels"
    )
    return (Finding("pulling_rows", message, "note", tuple(int(train.numbers[row]) for row in often), len(often)),)


def _grid(subject: AnalysisContext, settings: Settings, wrong: np.ndarray, near: np.ndarray, alike: np.ndarray) -> Grid:
    test, train, answers = subject.rows["test"], subject.rows["train"], subject.answers("test")
    rows = []

    def text(part: Rows, at: int) -> str:
        return shown_input(part.inputs[at], subject.schema.kind)[:_LETTERS]

    def label(value: object) -> str:
        return str(subject.head.shown(value, subject.labels))

    for place, error in enumerate(wrong[: settings.shown]):
        for neighbor, cosine in zip(near[place], alike[place], strict=True):
            rows.append(
                (
                    int(test.numbers[error]),
                    text(test, error),
                    label(test.targets[error]),
                    label(answers.values[error]),
                    int(train.numbers[neighbor]),
                    text(train, neighbor),
                    label(train.targets[neighbor]),
                    float(cosine),
                )
            )
    columns = ("test row", "text", "right", "predicted", "train row", "its text", "its class", "cosine")
    return Grid("The worst errors and the training rows nearest to them", columns, rows)
