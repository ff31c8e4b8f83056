"""Sets of rows by what they have in common, and whether a model does worse on them than on the others.

Source: Chung et al. 2019, Automated Data Slicing for Model Validation (slices by values, tested one by one with a correction);
Eyuboglu et al. 2022, Domino (slices by clusters of features); rows that find a slice do not judge it: Cox 1975, data splitting.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunewright.analysis.bootstrap import bootstrapped
from tunewright.analysis.context import AnalysisContext
from tunewright.core.rounding import grain
from tunewright.core.types import Score
from tunewright.datasets.labels import is_empty, label_name
from tunewright.datasets.numbers import as_number
from tunewright.evaluation.intervals import exact_interval

_WORD = re.compile(r"[^\W\d_]{2,}")
_VALUES = 30  # of a column, the most frequent ones (a guess)
_CATEGORIES = 10  # different numbers from which a column is cut in thirds rather than taken value by value (a guess)
_ALIKE = 0.8  # share of common rows from which two slices are the same (a guess)


@dataclass(frozen=True)
class Slice:
    """Rows (n,) bool that have something in common: what, in words, and which way found it."""

    family: str
    name: str
    mask: np.ndarray


@dataclass(frozen=True)
class Loss:
    """What went wrong on each row, (n,): 1 or 0 where ``share``, else how far the number was off."""

    values: np.ndarray
    share: bool
    metric: str


def thirds(values: np.ndarray, family: str, unit: str = "") -> list[Slice]:
    """Slices of equally many rows by a number (n,); nan belongs to none, and equal numbers stay together."""
    known = values[~np.isnan(values)]
    if not len(known):
        return []
    low, high = np.quantile(known, [1 / 3, 2 / 3])
    names = (f"up to {low:.4g}{unit}", f"to {high:.4g}{unit}", f"above {high:.4g}{unit}")
    masks = (values <= low, (values > low) & (values <= high), values > high)
    return [Slice(family, name, mask) for name, mask in zip(names, masks, strict=True)]


def by_column(cells: Sequence[Any], family: str) -> list[Slice]:
    """The most frequent values of a column, or thirds of its numbers where there are many."""
    numbers = [as_number(cell) for cell in cells]
    filled = sum(not is_empty(cell) for cell in cells)
    if filled and sum(one is not None for one in numbers) == filled and len(set(numbers)) > _CATEGORIES:
        return thirds(np.array([np.nan if one is None else one for one in numbers]), family)
    names = np.array(["(empty)" if is_empty(cell) else label_name(cell) for cell in cells], dtype=object)
    return [Slice(family, str(name), names == name) for name, _ in Counter(names.tolist()).most_common(_VALUES)]


def by_word(texts: Sequence[Sequence[str]], smallest: int) -> list[Slice]:
    """Rows that have a word, of each word that at least so many have and at least so many have not."""
    found: dict[str, list[int]] = {}
    for row, parts in enumerate(texts):
        for word in {word for part in parts for word in _WORD.findall(part.lower())}:
            found.setdefault(word, []).append(row)
    slices = []
    for word in sorted(found):
        if smallest <= len(found[word]) <= len(texts) - smallest:
            mask = np.zeros(len(texts), dtype=bool)
            mask[found[word]] = True
            slices.append(Slice("word", f"'{word}'", mask))
    return slices


def by_cluster(features: np.ndarray, words: Sequence[Slice], many: int, smallest: int, seed: int) -> list[Slice]:
    """Rows near each other in the network's own features, each named by the words that mark it most."""
    from sklearn.cluster import KMeans

    if len(features) < many * 2:
        return []
    place = KMeans(many, n_init=1, random_state=seed).fit(features.astype(np.float64)).labels_
    masks = [place == number for number in range(many)]
    return [Slice("cluster", _marks(mask, words), mask) for mask in masks if smallest <= mask.sum() <= len(mask) - smallest]


def _marks(mask: np.ndarray, words: Sequence[Slice]) -> str:
    """The three words whose share inside exceeds their share outside most."""
    lift = {one.name: one.mask[mask].mean() - one.mask[~mask].mean() for one in words}
    best = sorted((name for name in lift if lift[name] > 0), key=lambda name: -lift[name])[:3]
    return f"rows like {', '.join(best)}" if best else f"{mask.sum()} rows near each other"


def scored(subject: AnalysisContext, loss: Loss, mask: np.ndarray, name: str) -> Score:
    """The score of some rows with its interval: the share right, or the mean error."""
    values = loss.values[mask]
    if not loss.share:
        return bootstrapped(name, len(values), lambda counts: counts @ values / counts.sum(1), subject)
    if not len(values):
        return Score(name, None, None, None, 0, "share", "test", "no rows")
    right = len(values) - int(values.sum())
    low, high = exact_interval(right, len(values), subject.confidence)
    return Score(name, right / len(values), low, high, len(values), "share", "test", "exact binomial interval")


def p_against_rest(loss: Loss, mask: np.ndarray, *, worse: bool) -> float | None:
    """Chance of so large a difference to the other rows, or so much ``worse``, were there none; None without both."""
    from scipy.stats import fisher_exact, mannwhitneyu

    inside, outside = loss.values[mask], loss.values[~mask]
    if not len(inside) or not len(outside):
        return None
    side = "greater" if worse else "two-sided"
    if loss.share:
        table = [[int(part.sum()), int(len(part) - part.sum())] for part in (inside, outside)]
        return float(fisher_exact(table, alternative=side).pvalue)
    return float(mannwhitneyu(inside, outside, alternative=side).pvalue)


def worst(slices: Sequence[Slice], loss: Loss, explored: np.ndarray, most: int, fewest: int) -> list[Slice]:
    """The slices that the explored rows (n,) bool speak most against, no two nearly the same; each has rows in both halves."""
    kept = [one for one in slices if min((one.mask & explored).sum(), (one.mask & ~explored).sum()) >= fewest]
    if not kept:
        return []
    inside = np.array([one.mask[explored] for one in kept])
    order = np.argsort(-_excess(inside, loss.values[explored]), kind="stable")
    chosen: list[Slice] = []
    for place in order:
        one = kept[place]
        if len(chosen) == most:
            break
        if all((one.mask & other.mask).sum() < _ALIKE * (one.mask | other.mask).sum() for other in chosen):
            chosen.append(one)
    return chosen


def _excess(inside: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How many standard errors the mean of each slice (slices, n) is above that of all rows."""
    many = inside.sum(1)
    width = values.std() if values.std() > grain(values) else np.inf
    spread = width * np.sqrt(np.maximum(1 / many - 1 / len(values), 1e-12))
    found: np.ndarray = (inside @ values / many - values.mean()) / spread
    return found
