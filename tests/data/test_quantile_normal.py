"""The quantile-normal transform against its formula and against scikit-learn's, and what it does with ties and outliers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tunewright.core.errors import UserError
from tunewright.modalities.table.quantile_normal import QuantileNormal, apply_quantiles, learn_quantiles


def test_each_training_number_maps_to_the_normal_quantile_of_its_rank() -> None:
    from scipy.stats import norm, rankdata

    numbers = np.random.default_rng(0).lognormal(0, 3, 400).round(1)  # with ties
    assert len(np.unique(numbers)) < 400
    wanted = norm.ppf((rankdata(numbers) - 0.5) / 400)
    np.testing.assert_allclose(apply_quantiles(learn_quantiles(numbers), numbers), wanted, rtol=1e-5, atol=1e-6)


def test_many_values_agree_with_scikit_learn_away_from_the_edges() -> None:
    from sklearn.preprocessing import QuantileTransformer

    numbers = np.random.default_rng(1).gamma(0.5, 100, 20000)
    theirs = QuantileTransformer(n_quantiles=1000, output_distribution="normal", subsample=None, random_state=0)
    wanted = theirs.fit_transform(numbers[:, None])[:, 0]
    transform = learn_quantiles(numbers)
    assert 990 <= len(transform.values) <= 1000
    assert (transform.values[0], transform.values[-1]) == (numbers.min(), numbers.max())
    middle = np.abs(wanted) < 2.5
    assert np.abs(apply_quantiles(transform, numbers) - wanted)[middle].max() < 0.01


def test_a_column_of_mostly_one_value_has_it_near_the_middle() -> None:
    numbers = np.array([0.0] * 92 + list(range(1, 9)))
    read = apply_quantiles(learn_quantiles(numbers), numbers)
    assert read[0] == pytest.approx(-0.1004, abs=1e-3)  # the normal quantile of 0.46
    assert read[-1] == pytest.approx(2.5758, abs=1e-3)  # of 0.995


def test_beyond_the_training_numbers_nothing_grows() -> None:
    transform = learn_quantiles(np.arange(10.0))
    assert apply_quantiles(transform, np.array([-1e300, 0.0, 9.0, 1e300])).tolist() == pytest.approx(
        [-1.6449, -1.6449, 1.6449, 1.6449], abs=1e-3
    )


def test_a_single_value_is_zero() -> None:
    assert apply_quantiles(learn_quantiles(np.array([7.0, 7.0])), np.array([7.0, -3.0])).tolist() == [0.0, 0.0]


def test_json_keeps_every_bit() -> None:
    transform = learn_quantiles(np.random.default_rng(2).normal(size=50))
    assert QuantileNormal.from_dict(json.loads(json.dumps(transform.as_dict()))) == transform


@pytest.mark.parametrize(
    "saved",
    [
        {},
        {"values": [], "shares": []},
        {"values": [1, 1], "shares": [0.2, 0.4]},
        {"values": [1, 2], "shares": [0.4, 0.2]},
        {"values": [1, 2], "shares": [0.0, 0.5]},
        {"values": [1, 2], "shares": [0.5, 1.0]},
        {"values": [1, float("nan")], "shares": [0.1, 0.5]},
        {"values": [1], "shares": [0.1, 0.5]},
        {"values": "ab", "shares": [0.1]},
    ],
)
def test_damaged_knots_are_refused(saved: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="damaged"):
        QuantileNormal.from_dict(saved)
