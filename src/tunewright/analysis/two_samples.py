"""Whether two sets of feature rows come from one distribution: by a classifier between them, and by their kernel means.

Source: classifier two-sample test: Lopez-Paz and Oquab 2017, section 3; proxy A-distance: Ben-David et al. 2010, section 7, as
2 (1 - 2 error); maximum mean discrepancy, unbiased, with the median distance as width: Gretton et al. 2012, lemma 6
and section 8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tunewright.core.rounding import grain

_STEPS = 2000
_PERMUTED_AT_ONCE = 200


@dataclass(frozen=True)
class Judged:
    """A classifier's word on rows it was not trained on: ``right`` of ``n``; ``p``: that chance does as well."""

    right: int
    n: int
    p: float

    @property
    def accuracy(self) -> float:
        return self.right / self.n

    @property
    def a_distance(self) -> float:
        """0 where nothing is told apart, 2 where everything is."""
        return a_distance(self.accuracy)


def a_distance(accuracy: float) -> float:
    """2 (1 - 2 error), not below 0."""
    return max(0.0, 2 * (2 * accuracy - 1))


def classifier_test(first: np.ndarray, second: np.ndarray, seed: int = 0) -> Judged:
    """A logistic regression on half of the rows, judged on the other half; as many rows of each set as the smaller has."""
    from scipy.stats import binomtest
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    generator = np.random.default_rng(seed)
    many = min(len(first), len(second)) // 2 * 2
    parts = [rows[generator.permutation(len(rows))[:many]] for rows in (first, second)]
    half = many // 2
    learnt, held = (np.concatenate([rows[cut] for rows in parts]) for cut in (slice(0, half), slice(half, None)))
    sides = np.repeat([0, 1], half)
    # As many features as rows: the strong penalty keeps it from learning them by heart (1 / C as the width, a guess).
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1 / first.shape[1], max_iter=_STEPS)).fit(learnt, sides)
    right = int((model.predict(held) == sides).sum())
    return Judged(right, 2 * half, float(binomtest(right, 2 * half, 0.5, alternative="greater").pvalue))


def mean_discrepancy(first: np.ndarray, second: np.ndarray, permutations: int, seed: int = 0) -> tuple[float, float]:
    """The unbiased squared discrepancy, which chance may take below 0, and the share of shuffles that reach it."""
    rows = np.concatenate([first, second]).astype(np.float64)
    sizes = np.linalg.norm(rows, axis=1)
    kernel = _gaussian(rows, grain(sizes.astype(first.dtype)) ** 2 + grain(sizes**2))
    inside = np.arange(len(rows)) < len(first)
    found = float(_discrepancies(kernel, inside[None])[0])
    generator, reached, left = np.random.default_rng(seed), 0, permutations
    while left:
        some = min(left, _PERMUTED_AT_ONCE)
        reached += int((_discrepancies(kernel, generator.permuted(np.tile(inside, (some, 1)), axis=1)) >= found - 1e-9).sum())
        left -= some
    return found, (1 + reached) / (1 + permutations)


def _gaussian(rows: np.ndarray, least: float) -> np.ndarray:
    """exp(-squared distance / squared median distance), its diagonal 0, since no row is compared with itself.

    Rows up to the squared distance ``least`` are equal.
    """
    squares = np.square(rows).sum(1)
    distances = squares[:, None] + squares - 2 * rows @ rows.T
    distances[distances <= least] = 0.0  # of equal rows rounding leaves a little, which is no width
    apart = distances[np.triu_indices(len(rows), 1)]
    width = float(np.median(apart)) or float(apart.mean()) or 1.0
    kernel: np.ndarray = np.exp(-distances / width)
    np.fill_diagonal(kernel, 0.0)
    return kernel


def _discrepancies(kernel: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """For each way of parting the rows, (ways, rows) bool, its unbiased squared discrepancy."""
    ours = inside.astype(np.float64)
    rest = 1 - ours
    m, n = ours[0].sum(), rest[0].sum()
    near = ours @ kernel
    within, across = (near * ours).sum(1), (near * rest).sum(1)
    beyond = kernel.sum() - within - 2 * across
    found: np.ndarray = within / (m * (m - 1)) + beyond / (n * (n - 1)) - 2 * across / (m * n)
    return found
