"""Metrics by name, those of one of several target columns among them: ``topic:accuracy``."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from tunewright.core.registry import load_part
from tunewright.core.types import Labels


def load_metric(name: str) -> Any:
    """A metric's file, or what reads one column of the targets and predictions (n, columns) with it."""
    column, _, metric = name.rpartition(":")
    return _of_column(load_part("metrics", metric), column) if column else load_part("metrics", metric)


def _of_column(metric: ModuleType, column: str) -> SimpleNamespace:
    def cut(targets: np.ndarray, predicted: np.ndarray, labels: Labels) -> tuple[np.ndarray, np.ndarray, Labels]:
        place, part = _part(labels)
        kind = np.int64 if part.names else np.float64
        wanted = targets if targets.ndim == 1 else targets[:, place].astype(kind)  # one column: what the metric does not read
        return wanted, predicted[:, place].astype(kind), part

    def _part(labels: Labels) -> tuple[int, Labels]:
        return next((place, part) for place, (name, part) in enumerate(labels.parts) if name == column)

    made = SimpleNamespace(
        UNIT=metric.UNIT,
        HIGHER_IS_BETTER=metric.HIGHER_IS_BETTER,
        NEEDS="values",
        SHARE_OF_ROWS=getattr(metric, "SHARE_OF_ROWS", False),
        value=lambda *given: metric.value(*cut(*given)),
    )
    if hasattr(metric, "sums"):
        made.sums = lambda *given: metric.sums(*cut(*given))
        made.of_sums = lambda sums, labels: metric.of_sums(sums, _part(labels)[1])
    elif hasattr(metric, "on_draws"):
        made.on_draws = lambda *given: metric.on_draws(*cut(*given[:3]), given[3])
    return made
