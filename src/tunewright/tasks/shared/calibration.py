"""Probabilities that mean what they say: one temperature, or an isotonic curve for each class, fitted on the validation rows.

Source: temperature: Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2; isotonic curves, one class against
the rest, then divided by their sum: Zadrozny and Elkan 2002, section 3 and 5. Several labels are scaled as so many questions of
two answers: one temperature of the log odds, or a curve for each, and no sum.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from tunewright.core.types import Labels

Scaling = Literal["none", "temperature", "isotonic"]

_FLOOR = 1e-12
_LEAST = 5  # validation rows that a label is given to, and as many others, from which it gets a curve (a guess)
_RANGE = (-3.0, 3.0)  # of the temperature's natural logarithm: 0.05 to 20 (a guess)


def with_scaling(labels: Labels, probabilities: np.ndarray, targets: np.ndarray, how: Scaling) -> Labels:
    """The labels with what was fitted to unscaled probabilities (n, classes) and class numbers (n,)."""
    if how == "temperature":
        return replace(labels, temperature=best_temperature(probabilities, targets))
    if how == "isotonic":
        return replace(labels, isotonic=isotonic_curves(probabilities, targets))
    return labels


def best_temperature(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """The temperature with the least log loss."""
    from scipy.optimize import minimize_scalar

    def loss(logarithm: float) -> float:
        shares = _tempered(probabilities, float(np.exp(logarithm)))
        return float(-np.log(np.maximum(shares[np.arange(len(targets)), targets], _FLOOR)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=_RANGE, method="bounded").x))


def isotonic_curves(probabilities: np.ndarray, targets: np.ndarray) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Of each class the corners of a rising curve from the probability that was said to how often it was right."""
    from sklearn.isotonic import IsotonicRegression

    curves = []
    for number, shares in enumerate(probabilities.T):
        fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(shares, targets == number)
        corners = zip(fitted.X_thresholds_.tolist(), fitted.y_thresholds_.tolist(), strict=True)
        curves.append(tuple((float(x), float(y)) for x, y in corners))
    return tuple(curves)


def scaled(probabilities: np.ndarray, labels: Labels) -> np.ndarray:
    """Probabilities (n, classes) as the labels' temperature or curves change them; the same where they have none."""
    if labels.isotonic:
        corners = [np.array(curve) for curve in labels.isotonic]
        columns = [np.interp(shares, at[:, 0], at[:, 1]) for shares, at in zip(probabilities.T, corners, strict=True)]
        found = np.stack(columns, 1)
        sums = found.sum(1, keepdims=True)
        return np.where(sums > 0, found / np.maximum(sums, _FLOOR), probabilities)  # where no curve says anything
    return probabilities if labels.temperature == 1.0 else _tempered(probabilities, labels.temperature)


def with_flag_scaling(labels: Labels, probabilities: np.ndarray, targets: np.ndarray, how: Scaling) -> Labels:
    """The labels with what was fitted to unscaled probabilities and 0/1 targets (n, labels), each label a question of its own."""
    if how == "temperature":
        return replace(labels, temperature=_flag_temperature(probabilities, targets > 0))
    if how == "isotonic":
        columns = zip(probabilities.T, targets.T > 0, strict=True)
        return replace(labels, isotonic=tuple(_flag_curve(shares, wanted) for shares, wanted in columns))
    return labels


def scaled_flags(probabilities: np.ndarray, labels: Labels) -> np.ndarray:
    """Probabilities (n, labels) as the labels' temperature or curves change them, each by itself."""
    if labels.isotonic:
        corners = [np.array(curve) for curve in labels.isotonic]
        columns = [np.interp(shares, at[:, 0], at[:, 1]) for shares, at in zip(probabilities.T, corners, strict=True)]
        return np.stack(columns, 1)
    return probabilities if labels.temperature == 1.0 else _tempered_flags(probabilities, labels.temperature)


def _flag_temperature(probabilities: np.ndarray, wanted: np.ndarray) -> float:
    """The temperature with the least log loss over all labels."""
    from scipy.optimize import minimize_scalar

    def loss(logarithm: float) -> float:
        shares = _tempered_flags(probabilities, float(np.exp(logarithm)))
        return float(-np.log(np.maximum(np.where(wanted, shares, 1 - shares), _FLOOR)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=_RANGE, method="bounded").x))


def _flag_curve(shares: np.ndarray, wanted: np.ndarray) -> tuple[tuple[float, float], ...]:
    """The rising curve of one label; one that the rows hardly know keeps its probabilities."""
    if min(wanted.sum(), (~wanted).sum()) < _LEAST:
        return ((0.0, 0.0), (1.0, 1.0))
    return isotonic_curves(shares[:, None], np.where(wanted, 0, 1))[0]


def _tempered_flags(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    sure = np.clip(probabilities.astype(np.float64), _FLOOR, 1 - _FLOOR)
    found: np.ndarray = 1 / (1 + ((1 - sure) / sure) ** (1 / temperature))
    return found


def _tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    logits = np.log(np.maximum(probabilities, _FLOOR)) / temperature
    found = np.exp(logits - logits.max(1, keepdims=True))
    tempered: np.ndarray = found / found.sum(1, keepdims=True)
    return tempered
