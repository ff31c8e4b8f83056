"""Probabilities that mean what they say: one temperature, or an isotonic curve for each class, fitted on the validation rows.

Source: temperature: Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2; isotonic curves, one class against
the rest, then divided by their sum: Zadrozny and Elkan 2002, section 3 and 5.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from tunewright.core.types import Labels

Scaling = Literal["none", "temperature", "isotonic"]

_FLOOR = 1e-12
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


def _tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    logits = np.log(np.maximum(probabilities, _FLOOR)) / temperature
    found = np.exp(logits - logits.max(1, keepdims=True))
    tempered: np.ndarray = found / found.sum(1, keepdims=True)
    return tempered
