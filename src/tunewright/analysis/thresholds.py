"""Thresholds for each group: what a class is given from, so that groups are given it alike; no training.

Source: Hardt, Price and Srebro 2016, Equality of Opportunity in Supervised Learning, section 4. fairlearn finds
the most accurate thresholds under the constraint, mixed at random between two where one alone does not meet it.
When: the group may be known and used when deciding. When not: deciding by group is not allowed; few rows in a group.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator

from tunewright.core.errors import UserError
from tunewright.core.optional_packages import require

Constraint = Literal["demographic_parity", "equalized_odds"]
CONSTRAINTS: tuple[Constraint, ...] = ("demographic_parity", "equalized_odds")


class _Told(BaseEstimator):  # type: ignore[misc]
    """An estimator whose rows are the probabilities themselves."""

    fitted_ = True

    def fit(self, rows: np.ndarray, wanted: np.ndarray) -> _Told:
        return self

    def predict(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(rows)[:, 0]


def by_group(
    held: np.ndarray,
    wanted: np.ndarray,
    held_groups: np.ndarray,
    shares: np.ndarray,
    groups: np.ndarray,
    constraint: Constraint,
    seed: int = 0,
) -> tuple[np.ndarray, dict[int, str]]:
    """Whether each row is given the class, (n,) bool, by thresholds that other rows ``held`` tell, and the rules in words.

    ``held``, ``shares``: probabilities; ``wanted``: whether the held rows have the class. Groups without held rows of both
    classes take one half.
    """
    held, shares = (values.astype(np.float64) for values in (held, shares))  # fairlearn mixes in no other arithmetic
    told = [group for group in np.unique(held_groups) if len(np.unique(wanted[held_groups == group])) == 2]
    usable = np.isin(held_groups, told)
    if not told:
        raise UserError(
            "thresholds by group cannot be told by the validation rows: no group has rows of both classes",
            try_="fewer groups, or a larger data.validation_size",
        )
    processing: Any = require("fairlearn.postprocessing", "fairness", "thresholds by group")
    optimizer = processing.ThresholdOptimizer(
        estimator=_Told(), constraints=constraint, objective="accuracy_score", prefit=True, predict_method="predict"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer.fit(held[usable, None], wanted[usable].astype(int), sensitive_features=held_groups[usable])
        known = np.isin(groups, told)
        given = shares > 0.5
        if known.any():
            found = optimizer.predict(shares[known, None], sensitive_features=groups[known], random_state=seed)
            given[known] = np.asarray(found).astype(bool)
    rules = {int(group): _rule(found) for group, found in optimizer.interpolated_thresholder_.interpolation_dict.items()}
    return given, rules


def _rule(found: Mapping[str, Any]) -> str:
    """From which probability the class is given; shares of the rows where two thresholds are mixed, or chance decides."""
    ways = [(found["p0"], found["operation0"]), (found["p1"], found["operation1"])]
    said = [
        f"{way.operator} {way.threshold:.3f}{'' if share > 0.995 else f' ({share:.0%})'}" for share, way in ways if share >= 0.005
    ]
    ignored = found.get("p_ignore", 0.0)
    if ignored >= 0.005:
        said.append(f"at random for {ignored:.0%}, given to {found['prediction_constant']:.0%} of them")
    return ", ".join(said)
