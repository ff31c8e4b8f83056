"""The quantile-normal transform: a number's rank among the training numbers, read as a point of the normal distribution.

Source: Gorishniy et al. 2021, section 4.2 (data preprocessing), who take scikit-learn's; here ties get the middle of their ranks,
(rank - 1/2) / n (Hazen 1914), so that a column of mostly one value maps that value to the middle and not to the edge.
When: numbers of any unit and skew for a network. When not: trees, which only read the order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunewright.core.errors import UserError

KNOTS = 1000  # as many quantiles as scikit-learn keeps by default


@dataclass(frozen=True)
class QuantileNormal:
    """Knots of the distribution function: at ``values[k]`` the share ``shares[k]`` of the training numbers lies below."""

    values: tuple[float, ...]
    shares: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """The knots as JSON holds them."""
        return {"values": list(self.values), "shares": list(self.shares)}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> QuantileNormal:
        """What ``as_dict`` wrote; knots that do not rise, or shares outside (0, 1), are a UserError."""
        try:
            values, shares = (np.asarray(saved[name], dtype=np.float64) for name in ("values", "shares"))
            whole = values.ndim == shares.ndim == 1 and len(values) == len(shares) > 0
            rising = whole and bool((np.diff(values) > 0).all() and (np.diff(shares) > 0).all())
            sound = rising and bool(np.isfinite(values).all() and shares[0] > 0 and shares[-1] < 1)
        except (KeyError, TypeError, ValueError):
            sound = False
        if not sound:
            raise UserError(
                "the saved knots of a number column are damaged", expected="rising values with shares between 0 and 1"
            )
        return cls(tuple(values.tolist()), tuple(shares.tolist()))


def learn_quantiles(numbers: np.ndarray, knots: int = KNOTS) -> QuantileNormal:
    """The transform of these training numbers, (n,) finite, n >= 1; exact up to ``knots`` distinct values, thinned above.

    The smallest and the largest value are always knots.
    """
    values, counts = np.unique(np.asarray(numbers, dtype=np.float64), return_counts=True)
    assert len(values) and np.isfinite(values).all(), "only finite numbers have quantiles"
    shares = (np.cumsum(counts) - counts / 2) / counts.sum()
    if len(values) > knots:
        # Equal steps of the share, so that knots are dense where the numbers are.
        wanted = np.searchsorted(shares, np.linspace(shares[0], shares[-1], knots))
        kept = np.unique(np.clip(wanted, 0, len(values) - 1))
        kept[-1] = len(values) - 1
        values, shares = values[kept], shares[kept]
    return QuantileNormal(tuple(values.tolist()), tuple(shares.tolist()))


def apply_quantiles(transform: QuantileNormal, numbers: np.ndarray) -> np.ndarray:
    """Numbers (n,) as points of the standard normal, (n,) float32.

    Between knots the share is interpolated; beyond the training numbers it stays that of the last knot, so no outlier is large.
    """
    from scipy.special import ndtri

    shares = np.interp(numbers, transform.values, transform.shares)
    found: np.ndarray = ndtri(shares).astype(np.float32)
    return found
