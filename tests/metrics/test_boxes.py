"""Boxes found: matching, interpolation, and cases worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.metrics.kinds import coco, example
from tunewright.core.arrays import object_array
from tunewright.core.registry import load_part
from tunewright.core.types import Labels
from tunewright.metrics._boxes import overlaps

NONE = Labels("classification")
BOX = [0, 0, 10, 10]


def value(name: str, targets: list[Any], predicted: list[Any]) -> float | None:
    found: float | None = load_part("metrics", name).value(object_array(targets), object_array(predicted), NONE)
    return found


def boxes(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=float).reshape(-1, 4)


def test_overlaps() -> None:
    found = overlaps(boxes(BOX, [20, 20, 30, 30], [5, 5, 5, 5]), boxes([5, 0, 15, 10], [0, 0, 10, 5], [10, 0, 20, 10]))
    assert found == pytest.approx(np.array([[1 / 3, 0.5, 0], [0, 0, 0], [0, 0, 0]]))


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_reference(seed: int) -> None:
    """Integer boxes bring equal overlaps and overlaps that are exactly a threshold; five scores bring ties."""
    rows = example("boxes", 25, seed)
    generator = np.random.default_rng(seed)
    given = object_array(
        (np.rint(found).astype(int), kinds, generator.integers(0, 5, len(found)) / 5) for found, kinds, _ in rows.values
    )
    wanted = coco(rows.targets, given)
    found = [value(name, rows.targets, given) for name in ("mean_average_precision", "average_precision_50")]  # type: ignore[arg-type]
    assert found == pytest.approx(wanted, abs=1e-12)
    assert 0.05 < wanted[0] < wanted[1] < 0.95


def test_at_most_a_hundred_boxes_of_a_class_count_in_an_image() -> None:
    crowd = boxes(*[[50, 50, 60, 60]] * 100, BOX)
    given = [(crowd, np.zeros(101, int), np.linspace(1, 0.5, 101))]
    assert value("average_precision_50", [(boxes(BOX), np.array([0]))], given) == 0.0
    given = [(crowd[1:], np.zeros(100, int), np.linspace(1, 0.5, 100))]
    assert value("average_precision_50", [(boxes(BOX), np.array([0]))], given) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("targets", "predicted", "wanted"),
    [
        # of two right boxes one is found at precision 1: recalls 0 to 0.50 are 51 of 101
        ([(boxes(BOX, [50, 50, 60, 60]), [0, 0])], [(boxes(BOX), [0], [0.9])], 51 / 101),
        # the second hit comes third: precision 2 / 3 from recall 0.51 on
        (
            [(boxes(BOX, [50, 50, 60, 60]), [0, 0])],
            [(boxes(BOX, BOX, [50, 50, 60, 60]), [0, 0, 0], [0.9, 0.8, 0.7])],
            (51 + 50 * 2 / 3) / 101,
        ),
        ([(boxes(BOX), [0])], [(boxes(), [], [])], 0.0),  # nothing found
        ([(boxes(BOX), [0])], [(boxes(BOX), [1], [0.9])], 0.0),  # of another class
        ([(boxes(), [])], [(boxes(BOX), [1], [0.9])], None),  # nothing to find
        (
            [(boxes(BOX), [0]), (boxes(), [])],
            [(boxes(BOX), [0], [0.5]), (boxes(BOX), [0], [0.9])],
            0.5,
        ),  # found in an empty image
        ([(boxes(BOX), [0]), (boxes(BOX), [2])], [(boxes(BOX), [0], [0.5]), (boxes(), [], [])], 0.5),  # mean over the classes
    ],
)
def test_by_hand(targets: list[Any], predicted: list[Any], wanted: float | None) -> None:
    for name in ("mean_average_precision", "average_precision_50"):
        found = value(name, targets, predicted)
        assert found is None if wanted is None else found == pytest.approx(wanted)


def test_the_strict_overlaps_lower_the_mean() -> None:
    targets, predicted = [(boxes(BOX), [0])], [(boxes([0, 0, 10, 6.8]), [0], [0.9])]  # 0.50, 0.55, 0.60 and 0.65 are reached
    assert value("average_precision_50", targets, predicted) == pytest.approx(1)
    assert value("mean_average_precision", targets, predicted) == pytest.approx(0.4)
