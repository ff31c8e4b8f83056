"""A subject whose answers and features are given, for reports that ask for nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import numpy as np

from tunewright.analysis.context import AnalysisContext
from tunewright.core.types import Labels, Predictions
from tunewright.datasets.rows import Rows
from tunewright.datasets.schema import Schema
from tunewright.tasks.classification import task as classification
from tunewright.tasks.regression import task as regression


def subject(
    answers: Mapping[str, Predictions],
    targets: Mapping[str, np.ndarray],
    labels: Labels,
    *,
    inputs: Mapping[str, list[tuple[Any, ...]]] | None = None,
    kind: str = "text",
    columns: tuple[str, ...] = ("text",),
    **functions: Any,
) -> AnalysisContext:
    rows = {
        part: Rows(
            inputs[part] if inputs else [(f"row {index}",) for index in range(len(wanted))],
            wanted,
            np.arange(1, len(wanted) + 1),
            f"{part}.csv",
            kind=kind,
        )
        for part, wanted in targets.items()
    }
    settings: dict[str, Any] = {field.name: _absent for field in fields(AnalysisContext) if field.default is MISSING} | {
        "head": regression if labels.task == "regression" else classification,
        "labels": labels,
        "schema": Schema(columns, ("label",), labels.task, kind=kind),
        "rows": rows,
        "answers": answers.__getitem__,
        "folder": Path(),
        "resamples": 200,
    }
    return AnalysisContext(**(settings | functions))


def classifier(shares: Mapping[str, tuple[np.ndarray, np.ndarray]], **more: Any) -> AnalysisContext:
    """Of each part its probabilities (n, classes) and class numbers (n,)."""
    classes = next(iter(shares.values()))[0].shape[1]
    labels = Labels("classification", tuple("abcdefghijklmnopqrstuvwxyz"[:classes]))
    answers = {part: Predictions(found.argmax(1), found) for part, (found, _) in shares.items()}
    return subject(answers, {part: targets for part, (_, targets) in shares.items()}, labels, **more)


def regressor(values: Mapping[str, tuple[np.ndarray, np.ndarray]], **more: Any) -> AnalysisContext:
    """Of each part its predicted numbers (n,) and its targets (n,)."""
    answers = {part: Predictions(found, None) for part, (found, _) in values.items()}
    return subject(answers, {part: targets for part, (_, targets) in values.items()}, Labels("regression"), **more)


def _absent(*_: Any) -> Any:
    raise AssertionError("this report was not expected to ask for it")
