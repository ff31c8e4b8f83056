"""What counts as equal: the last bits of values that are one, and nothing that is a real difference."""

from __future__ import annotations

import numpy as np
import pytest

from tunewright.core.rounding import given_spread_or_one, grain, spread_or_one


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_last_bits_are_no_spread_and_more_is(size: float, kind: type[np.floating]) -> None:
    steps = np.random.default_rng(0).integers(-8, 9, 100)
    rounded = (size * (1 + steps * np.finfo(kind).eps)).astype(kind)
    assert rounded.std() > 0  # equality would tell them apart
    assert spread_or_one(rounded) == 1
    real = (size * (1 + 1000 * steps * np.finfo(kind).eps)).astype(kind)
    assert spread_or_one(real) == pytest.approx(float(real.std()))
    assert spread_or_one(real) != 1


def test_the_grain_is_that_of_the_type_and_of_the_size() -> None:
    assert grain(np.ones(3, np.float32)) > 1e6 * grain(np.ones(3))
    assert grain(np.full(3, 100.0)) == pytest.approx(100 * grain(np.ones(3)))
    assert grain(np.zeros(3), least=1.0) == grain(np.ones(3))
    assert grain(np.zeros(0)) == 0


def test_values_that_were_read_are_equal_only_where_they_are() -> None:
    same = np.full(3, 0.1)
    assert same.std() > 0  # their mean is rounded
    assert given_spread_or_one(same) == 1
    close = np.array([1e9, 1e9 + 1e-6])
    assert given_spread_or_one(close) == pytest.approx(close.std())
    assert given_spread_or_one(np.zeros(0)) == 1
