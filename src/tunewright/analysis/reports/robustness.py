"""What typing errors, noise or missing cells cost: the same test rows, clean and changed, compared as pairs.

Source: common corruptions: Hendrycks and Dietterich 2019; typing errors: Belinkov and Bisk 2018, Pruthi et al. 2019
(``evaluation/corruptions/``); paired comparison: ``evaluation/compare.py``.
When: rows in use are typed, photographed or recorded less carefully than the test rows. When not: rows come from a machine.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tunewright.analysis.context import AnalysisContext
from tunewright.analysis.evidence import Grid, Report
from tunewright.core.types import Finding, Predictions, Score
from tunewright.datasets.inputs import shown_input
from tunewright.evaluation.compare import compare
from tunewright.metrics._columns import load_metric
from tunewright.tasks import primary_of

TASKS = ("classification", "regression", "ordinal", "multi_label", "sentence_similarity")
KINDS = ("text", "image", "audio", "table")
DEFAULT = False

_SURE = 0.05  # probability of a chance, divided by the number of changes, from which a drop is a finding
_LARGE = 0.05  # of what there is to lose (a guess)
_REMEDIES = {
    "text": "add copies of training rows with such errors",
    "image": "train with --set data.augmentation.policy_changes=2 --set data.augmentation.brightness=0.4",
    "audio": "train with --set data.audio_augmentation.noise=0",
    "table": "add copies of training rows with empty cells",
}


class Settings(BaseModel):
    """How much is changed, in how many rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(500, ge=10, description="Most test rows; each change is one more pass over them.")
    share: float = Field(0.2, gt=0, le=1, description="Of texts: share of longer words with a typing error (a guess).")
    severity: int = Field(3, ge=1, le=5, description="Of images: strength of the change, 1 to 5 (Hendrycks and Dietterich 2019).")


def report(subject: AnalysisContext, settings: Settings) -> Report:
    """Each change's effect on the task's first metric, with its paired interval."""
    kind = import_module(f"tunewright.analysis.corruptions.{subject.schema.kind}")
    chosen = subject.sample("test", settings.rows)
    targets = subject.rows["test"].targets[chosen]
    rows = [subject.rows["test"].inputs[index] for index in chosen]
    if hasattr(kind, "plain"):
        rows = [kind.plain(row) for row in rows]
        clean = subject.predict(rows, chosen)
    else:
        clean = _some(subject.answers("test"), chosen)
    changes = kind.changes(**_wanted(subject.schema.kind, settings))
    found, examples = {}, []
    for name, change in changes.items():
        generator = np.random.default_rng(subject.seed)
        changed = [change(row, generator) for row in rows]
        examples.append((name, shown_input(changed[0], subject.schema.kind)[:200]))
        found[name] = _compared(subject, targets, subject.predict(changed, chosen), clean)
    scores = tuple(_score(name, one, len(rows), subject) for name, one in found.items())
    return Report(
        said=_said(subject, found, len(rows)),
        scores=scores,
        findings=_findings(subject, found, clean, targets),
        grids=(_grid(subject, found), *_examples(subject, examples)),
    )


def _examples(subject: AnalysisContext, examples: list[tuple[str, str]]) -> list[Grid]:
    """How the first row was changed, where that can be read."""
    return [Grid("The first row, changed", ("change", "row"), examples)] if subject.schema.kind in ("text", "table") else []


def _wanted(kind: str, settings: Settings) -> dict[str, Any]:
    """What a kind's changes are asked with."""
    known: dict[str, dict[str, Any]] = {"text": {"share": settings.share}, "image": {"severity": settings.severity}}
    return known.get(kind, {})


def _some(predictions: Predictions, chosen: np.ndarray) -> Predictions:
    shares = predictions.probabilities
    return Predictions(predictions.values[chosen], None if shares is None else shares[chosen])


def _metric(subject: AnalysisContext) -> str:
    """The metric that the task is judged by first."""
    return primary_of(subject.head, subject.labels)


def _compared(subject: AnalysisContext, targets: np.ndarray, changed: Predictions, clean: Predictions) -> dict[str, Any]:
    found = compare(
        _metric(subject),
        targets,
        changed,
        clean,
        subject.labels,
        confidence=subject.confidence,
        resamples=subject.resamples,
        seed=subject.seed,
    )
    differ = changed.values != clean.values
    return found | {"other": float((differ.any(1) if differ.ndim == 2 else differ).mean())}


def _score(name: str, one: dict[str, Any], n: int, subject: AnalysisContext) -> Score:
    metric = _metric(subject)
    unit = load_metric(metric).UNIT
    note = "undefined on these rows" if one["difference"] is None else f"{metric}, changed less clean; {one['test']}"
    named = f"change_{name.replace(' ', '_').replace(',', '').replace('%', '_percent')}"
    return Score(named, one["difference"], one["low"], one["high"], n, unit, "test", note)


def _grid(subject: AnalysisContext, found: dict[str, dict[str, Any]]) -> Grid:
    rows = [(name, one["difference"], one["low"], one["high"], one["p"], one["other"]) for name, one in found.items()]
    metric = _metric(subject).replace("_", " ")
    return Grid("Changed rows less clean rows", ("change", metric, "low", "high", "p", "other answers"), rows)


def _loss(subject: AnalysisContext, one: dict[str, Any]) -> float:
    """How much worse the changed rows are, whichever way the metric points."""
    sign = -1.0 if load_metric(_metric(subject)).HIGHER_IS_BETTER else 1.0
    return sign * (one["difference"] or 0.0)


def _said(subject: AnalysisContext, found: dict[str, dict[str, Any]], n: int) -> tuple[str, ...]:
    name = max(found, key=lambda key: _loss(subject, found[key]))
    one, metric = found[name], _metric(subject).replace("_", " ")
    if one["difference"] is None:
        return (f"The {metric} is undefined on these {n} rows.",)
    still = [key for key, each in found.items() if each["other"] == 0]
    said = [
        f"Of {len(found)} changes of {n} test rows '{name}' costs most: {metric} {one['difference']:+.3f} "
        f"({one['low']:+.3f} to {one['high']:+.3f}), {one['other']:.0%} of the answers are others."
    ]
    return (*said, *([f"No answer changes with {', '.join(still)}."] if still else []))


def _findings(
    subject: AnalysisContext, found: dict[str, dict[str, Any]], clean: Predictions, targets: np.ndarray
) -> tuple[Finding, ...]:
    """Drops that are certain, for as many as were looked at, and large against what there is to lose."""
    metric = load_metric(_metric(subject))
    read = clean.probabilities if metric.NEEDS == "probabilities" else clean.values
    whole = None if read is None else metric.value(targets, read, subject.labels)
    told = []
    for name, one in found.items():
        loss = _loss(subject, one)
        if one["p"] is None or one["p"] > _SURE / len(found) or whole is None or loss < _LARGE * abs(whole):
            continue
        told.append(
            f"{name} {one['difference']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f})",
        )
    if not told:
        return ()
    message = f"changed rows are answered worse ({_metric(subject).replace('_', ' ')}): {'; '.join(told)}; "
    return (Finding("not_robust", message + _REMEDIES[subject.schema.kind], "warning", count=len(told)),)
