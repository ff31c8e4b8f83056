"""Reference rows: what a model could do before it was tuned, measured on rows that the tuning never saw.

A labeled text or image is asked by a linear probe on the features, a pair of texts with a number by the rank correlation of its
cosine, a text alone by a language model's loss per token, a question with choices by the choice that it finds likeliest.
Source: probes: Alain and Bengio 2017, Understanding intermediate layers using linear classifier probes; cosine: Cer et al. 2017.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tunewright.analysis.context import AnalysisContext, drawn
from tunewright.analysis.multiple_choice import is_multiple_choice, read_questions, right_answers
from tunewright.core.errors import UserError
from tunewright.datasets.inputs import inputs_of
from tunewright.datasets.read import read_table
from tunewright.datasets.schema import guess_schema
from tunewright.datasets.targets import form_of

Ask = Literal["probe", "similarity", "text", "choice"]
_FOLDS = 5  # of a probe's rows (a guess)


@dataclass(frozen=True)
class Reference:
    """Rows to ask a model by: ``inputs`` as their kind has them, ``targets`` (n,) but for texts alone."""

    name: str
    ask: Ask
    inputs: list[tuple[Any, ...]]
    targets: np.ndarray | None


@dataclass(frozen=True)
class Asked:
    """What a reference tells of one network, row by row, and how rows make its value: the higher, the more is known.

    ``rows`` (n, k): right or wrong of a probe or choice; the cosine beside its target; nats and tokens of a text.
    """

    ask: Ask
    rows: np.ndarray

    def value(self, counts: np.ndarray) -> np.ndarray:
        """The value where rows count so often, (resamples, n) -> (resamples,): accuracy, correlation, or minus nats per token."""
        if self.ask == "similarity":
            return np.array([_ranked(np.repeat(self.rows, times, axis=0)) for times in counts])
        sums = counts @ self.rows
        found: np.ndarray = sums[:, 0] / sums[:, 1]
        return found


def read_reference(path: str, most: int, seed: int) -> Reference:
    """The rows of a file, at most so many of them, drawn with the seed; how they are asked follows from their columns."""
    table = read_table(path, "test")
    name = f"{Path(path).resolve().parent.name}/{Path(path).name.partition('.')[0]}"
    if len(table.columns) == 1:
        only = next(iter(table.columns))
        texts = [str(cell) for cell in table.columns[only] if str(cell or "").strip()]
        chosen = drawn(len(texts), most, seed)
        return Reference(name, "text", [(texts[index],) for index in chosen], None)
    if is_multiple_choice(table):
        questions, answers = read_questions(table)
        chosen = drawn(len(questions), most, seed)
        return Reference(name, "choice", [questions[index] for index in chosen], answers[chosen])
    schema = guess_schema(table)
    form = form_of(schema.task)
    inputs, values = inputs_of(table, schema), form.read(table, schema)
    if schema.task not in ("classification", "sentence_similarity"):
        raise UserError(
            f"{path} has rows for {schema.task.replace('_', ' ')}, by which forgetting is not measured",
            expected="a column of texts, texts with a class, two texts with a number, or question, choices and answer",
        )
    targets = form.encode(values, form.labels(values, schema.task, schema.target), table.where)
    chosen = drawn(len(inputs), most, seed)
    ask: Ask = "similarity" if schema.task == "sentence_similarity" else "probe"
    return Reference(name, ask, [inputs[index] for index in chosen], targets[chosen])


def unseen(reference: Reference, subject: AnalysisContext) -> tuple[Reference, int]:
    """The reference without the texts that were trained on, and how many these are; none is left is a UserError."""
    if "train" not in subject.rows or subject.rows["train"].kind != "text":
        return reference, 0
    known = set(subject.rows["train"].texts)
    kept = [place for place, row in enumerate(reference.inputs) if row not in known]
    if not kept:
        raise UserError(f"every row of '{reference.name}' was trained on", expected="rows that the tuning never saw")
    trained = len(reference.inputs) - len(kept)
    if not trained:
        return reference, 0
    inputs, targets = [reference.inputs[place] for place in kept], reference.targets
    return replace(reference, inputs=inputs, targets=None if targets is None else targets[kept]), trained


def asked(reference: Reference, subject: AnalysisContext, before: bool) -> Asked:
    """What the network answers, the one before tuning or the tuned one."""
    if reference.ask == "text":
        sums = subject.likelihoods([text for (text,) in reference.inputs], before)
        return Asked("text", np.stack([-sums[:, 0], sums[:, 1]], 1))
    assert reference.targets is not None
    if reference.ask == "similarity":
        sides = [subject.features([(row[side],) for row in reference.inputs], before) for side in (0, 1)]
        cosine = (sides[0] * sides[1]).sum(1) / np.maximum(np.prod([np.linalg.norm(side, axis=1) for side in sides], 0), 1e-12)
        return Asked("similarity", np.stack([cosine, reference.targets], 1))
    if reference.ask == "choice":
        right = right_answers(reference.inputs, reference.targets, subject, before)
    else:
        right = _probed(subject.features(reference.inputs, before), reference.targets, subject.seed)
    return Asked(reference.ask, np.stack([right, np.ones(len(right))], 1))


def _probed(features: np.ndarray, targets: np.ndarray, seed: int) -> np.ndarray:
    """Whether a linear probe that was fitted on the other folds is right about each row, (n,)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = min(_FOLDS, int(np.bincount(targets)[np.unique(targets)].min()))
    if folds < 2:
        raise UserError("a reference has a class with one row", expected="several rows of each class")
    right = np.zeros(len(targets))
    for fitted, checked in StratifiedKFold(folds, shuffle=True, random_state=seed).split(features, targets):
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=200))
        right[checked] = probe.fit(features[fitted], targets[fitted]).predict(features[checked]) == targets[checked]
    return right


def _ranked(rows: np.ndarray) -> float:
    """Spearman's correlation of two columns; nan where one does not vary."""
    from scipy.stats import rankdata

    first, second = rankdata(rows[:, 0]), rankdata(rows[:, 1])
    return float(np.corrcoef(first, second)[0, 1]) if first.std() and second.std() else float("nan")
