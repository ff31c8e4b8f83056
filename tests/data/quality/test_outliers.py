"""Values far from the others: planted ones are found, tails that are true are left alone."""

from __future__ import annotations

import numpy as np
import pytest

from tunewright.datasets.quality.outliers import far_lengths, far_numbers


def test_a_text_far_longer_or_shorter_is_found() -> None:
    generator = np.random.default_rng(0)
    texts = ["x" * length for length in generator.integers(40, 80, 500)] + ["x" * 5000, "x", ""]
    far, (low, high) = far_lengths(texts)
    assert far.tolist() == [500, 501]
    assert 1 < low <= 40
    assert 79 <= high < 5000


def test_few_texts_and_two_kinds_of_texts_have_no_outlier() -> None:
    assert not len(far_lengths(["x" * 10] * 20 + ["x" * 1000])[0])
    assert not len(far_lengths(["x" * 10] * 200 + ["x" * 1000] * 50)[0])
    assert not len(far_lengths([])[0])


@pytest.mark.parametrize("planted", [-999.0, 9999.0, 1e9])
def test_a_code_for_a_missing_value_is_found(planted: float) -> None:
    values = np.random.default_rng(0).uniform(17, 90, 400)
    values[[3, 77]] = planted
    values[10] = np.nan
    assert far_numbers(values).tolist() == [3, 77]


def test_both_ends_are_looked_at() -> None:
    values = np.random.default_rng(0).normal(50, 10, 300)
    values[5], values[6] = -9e6, 9e6
    assert far_numbers(values).tolist() == [5, 6]


def test_true_tails_are_left_alone() -> None:
    accused = 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        tails = (
            generator.normal(size=500),
            generator.exponential(size=500),
            generator.lognormal(sigma=2, size=500),
            1 + generator.pareto(1, 500),
            generator.standard_t(2, 500),
            np.where(generator.random(500) < 0.95, 0.0, generator.exponential(1000, 500)),  # mostly nothing
            (generator.random(500) < 0.02).astype(float),  # yes and no
            generator.integers(0, 5, 500).astype(float),
        )
        accused += sum(len(far_numbers(values)) > 0 for values in tails)
    assert accused <= 3  # of 320 columns
