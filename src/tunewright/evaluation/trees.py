"""Gradient-boosted trees on the same rows: what a network for tables has to beat.

Source: Ke et al. 2017, LightGBM, as scikit-learn's HistGradientBoosting has it, at its defaults.
When: beside every table. When not: texts, images and sounds, whose values mean nothing one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tunewright.core.types import Labels, Predictions
from tunewright.modalities.table.modality import Encoded

TASKS: tuple[str, ...] = ("classification", "multi_label", "regression")

_MOST_CATEGORIES = 255  # of a column that the trees take as categories; with more its places are read as numbers


def boosted(train: Encoded, targets: np.ndarray, test: Encoded, labels: Labels, seed: int) -> Predictions:
    """What trees fitted to the training rows predict for the test rows; missing numbers stay missing.

    ``targets`` are class numbers (n,), 0 or 1 (n, classes), or numbers (n,). Where labels have costs, the trees decide by them.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    sizes = [int(max(part.categories[:, one].max(initial=0) for part in (train, test))) + 1 for one in range(_width(train))]
    places = [False] * train.numbers.shape[1] + [size <= _MOST_CATEGORIES for size in sizes]
    settings: dict[str, Any] = {"random_state": seed, "categorical_features": places}
    known, asked = _columns(train), _columns(test)
    if labels.task == "regression":
        return Predictions(HistGradientBoostingRegressor(**settings).fit(known, targets).predict(asked), None)

    def shares(wanted: np.ndarray, classes: int) -> np.ndarray:
        found = np.zeros((len(asked), classes))
        present = np.unique(wanted).astype(int)
        if len(present) == 1:
            found[:, present] = 1.0
        else:
            found[:, present] = HistGradientBoostingClassifier(**settings).fit(known, wanted).predict_proba(asked)
        return found

    if labels.task == "multi_label":
        each = np.stack([shares(targets[:, one], 2)[:, 1] for one in range(targets.shape[1])], 1)
        return Predictions((each >= 0.5).astype(np.int64), each)
    probabilities = shares(targets, labels.outputs)
    return Predictions((probabilities * labels.costs if labels.costs else probabilities).argmax(1), probabilities)


def _width(rows: Encoded) -> int:
    return int(rows.categories.shape[1])


def _columns(rows: Encoded) -> np.ndarray:
    """Numbers, missing ones as NaN, then places of categories, (n, columns)."""
    return np.concatenate([np.where(rows.missing, np.nan, rows.numbers), rows.categories], axis=1)
