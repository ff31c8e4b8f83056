"""Ranks, relevances, confusions, margins, likelihoods and ordered classes where they are at the edge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tunewright.core.arrays import object_array
from tunewright.core.registry import load_part
from tunewright.core.types import Labels

NONE = Labels("classification")
UNUSED = np.zeros(2)


@pytest.mark.parametrize(
    ("name", "targets", "predicted", "wanted"),
    [
        ("recall_at_10", UNUSED, np.array([10, 11]), 0.5),
        ("recall_at_1", UNUSED, np.array([0, 1]), 0.5),
        ("mean_reciprocal_rank", UNUSED, np.array([0, 4]), 0.125),
        ("ndcg_at_10", object_array([[0, 3, 1], [0, 0]]), object_array([[1, 0, 3], [0, 0]]), (1 + 3 / 2) / (3 + 1 / np.log2(3))),
        ("ndcg_at_10", object_array([[1], [0]]), object_array([[0] * 10 + [1], []]), 0.0),  # the eleventh is too late
        ("ndcg_at_10", object_array([[1], [1]]), object_array([[], [1]]), 0.5),  # nothing returned
        ("ndcg_at_10", object_array([[0], []]), object_array([[0], []]), None),
        ("mean_iou", UNUSED, np.array([[[4, 1], [0, 5]], [[0, 0], [0, 0]]]), (4 / 5 + 5 / 6) / 2),
        ("mean_iou", UNUSED, np.array([[[4, 0], [0, 0]], [[1, 0], [0, 0]]]), 1.0),  # the class on neither side is left out
        ("mean_iou", UNUSED, np.zeros((2, 2, 2), int), None),
        ("pixel_accuracy", UNUSED, np.array([[[4, 1], [0, 5]], [[0, 0], [2, 0]]]), 9 / 12),
        ("pixel_accuracy", UNUSED, np.zeros((2, 2, 2), int), None),
        ("perplexity", UNUSED, np.array([[np.log(8), 1, 3], [0, 2, 3]]), 2.0),
        ("perplexity", UNUSED, np.zeros((2, 3)), None),
        ("bits_per_byte", UNUSED, np.array([[np.log(8), 1, 3], [0, 2, 3]]), 0.5),
        ("reward_accuracy", UNUSED, np.array([0.0, 0.1]), 0.5),
        ("reward_margin", UNUSED, np.array([-1.0, 2.0]), 0.5),
        ("quadratic_weighted_kappa", np.array([0, 2]), np.array([2, 0]), -1.0),
        ("quadratic_weighted_kappa", np.array([3, 3]), np.array([3, 3]), None),
        ("quadratic_weighted_kappa", np.array([0, 1, 2, 3]), np.array([1, 1, 1, 1]), 0.0),  # as good as chance
    ],
)
def test_value(name: str, targets: np.ndarray, predicted: np.ndarray, wanted: Any) -> None:
    found = load_part("metrics", name).value(targets, predicted, NONE)
    assert found is None if wanted is None else found == pytest.approx(wanted)


def test_one_class_alone_has_no_kappa_however_many_rows() -> None:
    """Sums of squares must cancel to exactly 0."""
    for rows in (7, 1001, 99_991):
        same = np.full(rows, 6)
        assert load_part("metrics", "quadratic_weighted_kappa").value(same, same, NONE) is None
