"""Tables beside the scores: per class, confusion, and the worst errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tunewright.core.types import Labels, Predictions


def per_class(targets: np.ndarray, predictions: Predictions, labels: Labels) -> list[dict[str, Any]]:
    """Precision, recall, F1, area under the precision-recall curve and rows of each class; empty for numbers.

    None where a class never occurs or is never predicted.
    """
    if not labels.names or predictions.values.dtype == object or predictions.values.ndim > 2:
        return []
    wanted, given = _decisions(targets, labels), _decisions(predictions.values, labels)
    shares = predictions.probabilities
    areas = [None if shares is None else _area(wanted[:, index], shares[:, index]) for index in range(len(labels.names))]
    return [
        {**_of_class(name, wanted[:, index], given[:, index]), "average_precision": areas[index]}
        for index, name in enumerate(labels.names)
    ]


def _area(wanted: np.ndarray, shares: np.ndarray) -> float | None:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(wanted, shares)) if wanted.any() else None


def _decisions(values: np.ndarray, labels: Labels) -> np.ndarray:
    """0/1 per row and class, (n, classes)."""
    chosen: np.ndarray = values if values.ndim == 2 else np.eye(len(labels.names), dtype=np.int64)[values]
    return chosen.astype(bool)


def _of_class(name: str, wanted: np.ndarray, given: np.ndarray) -> dict[str, Any]:
    hits, support, predicted = int((wanted & given).sum()), int(wanted.sum()), int(given.sum())
    return {
        "name": name,
        "precision": hits / predicted if predicted else None,
        "recall": hits / support if support else None,
        "f1": 2 * hits / (support + predicted) if support else None,
        "support": support,
        "predicted": predicted,
    }


def confusion(targets: np.ndarray, predictions: Predictions, labels: Labels) -> dict[str, Any] | None:
    """Counts by right class (row) and predicted class (column); None unless each row has one class."""
    if labels.task not in ("classification", "ordinal"):
        return None
    counts = np.zeros((len(labels.names), len(labels.names)), dtype=np.int64)
    np.add.at(counts, (targets, predictions.values), 1)
    return {"names": list(labels.names), "counts": counts.tolist()}


def worst_errors(
    targets: np.ndarray,
    predictions: Predictions,
    labels: Labels,
    *,
    numbers: Sequence[int] | np.ndarray,
    inputs: Sequence[str],
    shown: Callable[[Any, Labels], str],
    badness: Callable[[np.ndarray, Predictions], np.ndarray] | None = None,
    most: int = 20,
) -> list[dict[str, Any]]:
    """The rows the model was most wrong about: most sure of something else, or furthest from the number.

    ``badness`` tells how wrong each row is, (n,), where a task has its own measure of it.
    """
    wrong = (badness or _badness)(targets, predictions)
    order = [int(row) for row in np.argsort(-wrong, kind="stable") if wrong[row] > 0][:most]
    return [
        {
            "row": int(numbers[row]),
            "text": inputs[row],
            "target": shown(targets[row], labels),
            "predicted": shown(predictions.values[row], labels),
            "probability": None if predictions.probabilities is None else float(predictions.probabilities[row].max()),
            "badness": float(wrong[row]),
        }
        for row in order
    ]


def _is_right(wanted: Any, given: Any) -> bool:
    """Whether an object is the wanted one; of a text, whether it is one of the right texts, or empty where there is none."""
    return given in (wanted or ("",)) if isinstance(given, str) else np.array_equal(wanted, given)


def _badness(targets: np.ndarray, predictions: Predictions) -> np.ndarray:
    """How wrong each row is, (n,); 0 where it is right."""
    values, shares = predictions.values, predictions.probabilities
    if values.dtype == object:
        return np.array([float(not _is_right(a, b)) for a, b in zip(targets, values, strict=True)])
    if shares is None:
        distance: np.ndarray = np.abs(targets - values)
        return distance
    if targets.ndim == 2:
        return np.where((targets != values).any(1), np.abs(targets - shares).max(1), 0.0)
    return np.where(targets != values, shares.max(1) - shares[np.arange(len(targets)), targets], 0.0)
