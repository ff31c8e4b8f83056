"""The largest gap between groups of rows in a mean: of resampled rows, and of groups that are shuffled.

Source: permutation test of equal means: Efron and Tibshirani 1993, chapter 15; several tests at once: Holm 1979.
The gap of the largest and the smallest of several groups is never below 0 and grows by chance alone, so that its interval cannot
tell whether there is one: what shuffled groups give does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rate:
    """A mean of ``values`` (n, k) over the rows of a group that are ``among`` (n, k): k classes, or one quantity.

    ``groups`` (n, groups) are 0 or 1; ``compared`` (groups, k) says which groups have rows enough to be compared.
    """

    values: np.ndarray
    among: np.ndarray
    groups: np.ndarray
    compared: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, among: np.ndarray, groups: np.ndarray, smallest: int) -> Rate:
        """Groups with fewer than ``smallest`` rows among which the mean is taken are not compared."""
        values, among = (part.astype(np.float32) for part in (values, among))
        return cls(values, among, groups, groups.T @ among >= smallest)

    @property
    def classes(self) -> np.ndarray:
        """Classes in which at least two groups can be compared."""
        return np.flatnonzero(self.compared.sum(0) >= 2)

    def means(self, counts: np.ndarray) -> np.ndarray:
        """Of each resample, group and class, (resamples, groups, k), nan for groups that are not compared."""
        counts = counts.astype(np.float32)
        found = np.full((len(counts), *self.compared.shape), np.nan)
        for at in self.classes:
            inside = self.groups * self.among[:, at, None]
            with np.errstate(invalid="ignore", divide="ignore"):
                found[:, :, at] = (counts @ (inside * self.values[:, at, None])) / (counts @ inside)
        compared: np.ndarray = np.where(self.compared, found, np.nan)
        return compared

    def shuffled(self, resamples: int, seed: int) -> np.ndarray:
        """Gaps of each class where the groups are shuffled among the rows that count, (resamples, classes)."""
        generator, found = np.random.default_rng(seed), np.empty((resamples, len(self.classes)))
        for column, at in enumerate(self.classes):
            taken = (self.among[:, at] > 0) & (self.groups @ self.compared[:, at] > 0)
            inside, values = self.groups[taken][:, self.compared[:, at]], self.values[taken, at]
            sizes = inside.sum(0)
            for draw in range(resamples):
                means = (generator.permutation(values) @ inside) / sizes
                found[draw, column] = means.max() - means.min()
        return found


def gaps(means: np.ndarray) -> np.ndarray:
    """Largest less smallest mean of the groups, (resamples, k) of (resamples, groups, k); nan where fewer than two have one."""
    low, high = _ends(means)
    found: np.ndarray = high - low
    return found


def ratios(means: np.ndarray) -> np.ndarray:
    """Smallest over largest mean of the groups, (resamples, k); nan where all are 0."""
    low, high = _ends(means)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: np.ndarray = low / high
    return found


def _ends(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    missing = np.isnan(means)
    low, high = np.where(missing, np.inf, means).min(1), np.where(missing, -np.inf, means).max(1)
    few = (~missing).sum(1) < 2
    return np.where(few, np.nan, low), np.where(few, np.nan, high)


def largest(found: np.ndarray) -> np.ndarray:
    """Over the classes that are defined, (resamples,)."""
    return _over(found, -np.inf)


def smallest(found: np.ndarray) -> np.ndarray:
    """Over the classes that are defined, (resamples,)."""
    return -_over(-found, -np.inf)


def _over(found: np.ndarray, least: float) -> np.ndarray:
    if not found.shape[1]:
        return np.full(len(found), np.nan)
    best = np.where(np.isnan(found), least, found).max(1)
    return np.where(np.isnan(found).all(1), np.nan, best)


def p_value(found: float, shuffled: np.ndarray) -> float:
    """How often shuffled groups are as far apart as those that were found."""
    return float((1 + (shuffled >= found - 1e-9).sum()) / (1 + len(shuffled)))


def holm(values: Sequence[float]) -> list[float]:
    """p-values of several tests raised so that all of them together keep their level (Holm 1979)."""
    order = np.argsort(values)
    raised = np.maximum.accumulate(np.array(values)[order] * np.arange(len(values), 0, -1))
    found = np.empty(len(values))
    found[order] = np.minimum(raised, 1.0)
    return [float(one) for one in found]
