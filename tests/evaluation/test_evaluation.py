"""Intervals that cover, tests that find, tables that add up, and curves whose meaning is said."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tests.metrics.kinds import example
from tunewright.analysis.tables import confusion, per_class, worst_errors
from tunewright.core.arrays import object_array
from tunewright.core.registry import load_part
from tunewright.core.types import Labels, Predictions
from tunewright.evaluation.compare import compare, mcnemar
from tunewright.evaluation.intervals import measured, score
from tunewright.evaluation.overfitting import findings

TWO = Labels("classification", ("no", "yes"))
THREE = Labels("classification", ("a", "b", "c"))


def with_accuracy(right: np.ndarray) -> tuple[np.ndarray, Predictions]:
    targets = np.zeros(len(right), dtype=np.int64)
    return targets, Predictions(np.where(right, 0, 1), None)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    inside = 0
    for trial in range(300):
        found = score("accuracy", *with_accuracy(generator.random(150) < 0.8), TWO, resamples=300, seed=trial)
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= 0.8 <= found.high
    assert 0.90 <= inside / 300 <= 0.985


def test_a_narrower_confidence_gives_a_narrower_interval() -> None:
    data = with_accuracy(np.arange(100) % 4 > 0)
    wide, narrow = (score("accuracy", *data, TWO, confidence=share) for share in (0.99, 0.8))
    assert wide.high - wide.low > narrow.high - narrow.low  # type: ignore[operator]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_right_or_all_wrong_is_not_certain(value: float) -> None:
    found = score("accuracy", *with_accuracy(np.full(20, bool(value))), TWO)
    exact = stats.binomtest(int(20 * value), 20).proportion_ci(0.95, method="exact")
    assert (found.value, found.low, found.high) == (value, pytest.approx(exact.low), pytest.approx(exact.high))


def test_undefined_has_a_note_and_no_number() -> None:
    found = score("matthews", np.zeros(5, int), Predictions(np.zeros(5, int), None), TWO)
    assert (found.value, found.low, found.high) == (None, None, None)
    assert "undefined" in found.note


@pytest.mark.parametrize("name", ["exact_match", "recall_at_10", "reward_accuracy", "top3_accuracy"])
def test_every_share_of_rows_has_the_exact_interval_at_its_ends(name: str) -> None:
    kind = load_part("metrics", name).READS[0]
    rows = example(kind, 20)
    found = score(name, rows.targets, Predictions(rows.perfect, rows.sure), rows.labels)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.025 ** (1 / 20))
    assert found.note == "exact binomial interval"


@pytest.mark.parametrize(
    ("name", "kind"), [("entity_f1", "tags"), ("chrf", "texts"), ("mean_iou", "confusions"), ("mean_average_precision", "boxes")]
)
def test_rows_of_any_kind_have_an_interval(name: str, kind: str) -> None:
    rows = example(kind, 40)
    found = score(name, rows.targets, Predictions(rows.values, None), rows.labels, resamples=200)
    assert found.n == 40
    assert found.low < found.value < found.high  # type: ignore[operator]
    told = compare(
        name, rows.targets, Predictions(rows.perfect, None), Predictions(rows.values, None), rows.labels, resamples=200
    )
    assert told["low"] > 0
    assert told["test"] == "paired bootstrap"


@pytest.mark.parametrize("name", ["macro_f1", "micro_f1", "root_mean_squared_error", "top3_accuracy", "mean_average_precision"])
def test_all_three_ways_of_resampling_agree(name: str) -> None:
    """Sums, counts of rows, and rows taken one by one."""
    metric = load_part("metrics", name)
    rows = example(metric.READS[0], 30)
    read, _ = rows.read(metric)
    plain = SimpleNamespace(value=metric.value)
    (found, values), (wanted, by_rows) = (measured(one, rows.targets, read, rows.labels, 150, 0) for one in (metric, plain))
    assert found == pytest.approx(wanted)
    assert values == pytest.approx(by_rows)
    assert len(values) == 150


def test_resamples_without_a_value_are_left_out_of_score_and_pairs() -> None:
    labels = Labels("classification", ("O", "B-A"))
    targets = object_array([np.array([1]), *[np.array([0])] * 5])
    good = Predictions(object_array([np.array([1]), *[np.array([0])] * 5]), None)
    poor = Predictions(object_array([np.array([0]), np.array([1]), *[np.array([0])] * 4]), None)
    found, values = measured(load_part("metrics", "entity_recall"), targets, good.values, labels, 500, 0)
    share = np.isnan(values).mean()  # of resamples without the first row: (5 / 6) ** 6
    assert found == 1.0
    assert share == pytest.approx((5 / 6) ** 6, abs=0.06)
    assert score("entity_recall", targets, good, labels, resamples=500).low == 1.0
    told = compare("entity_recall", targets, good, poor, labels, resamples=500)
    assert (told["difference"], told["low"], told["high"]) == (1.0, 1.0, 1.0)
    assert told["p"] == pytest.approx(2 / (1 + 500 * (1 - share)))


def test_shares_that_read_probabilities_are_compared_by_mcnemar() -> None:
    rows = example("classes", 60)
    assert rows.sure is not None
    ours, theirs = Predictions(rows.perfect, rows.sure), Predictions(rows.values, rows.probabilities)
    told = compare("top3_accuracy", rows.targets, ours, theirs, rows.labels)
    missed = 60 - round(60 * (1 - told["difference"]))
    assert missed > 5
    assert told["test"] == "McNemar, exact"
    assert told["p"] == pytest.approx(2 * 0.5**missed)


@pytest.mark.parametrize(("only_first", "only_second"), [(8, 2), (5, 5), (0, 0), (1, 12)])
def test_mcnemar_is_the_exact_binomial(only_first: int, only_second: int) -> None:
    first = np.array([True] * only_first + [False] * only_second + [True] * 30)
    second = np.array([False] * only_first + [True] * only_second + [True] * 30)
    n, k = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(n, i) for i in range(k + 1)) / 2**n if n else 1.0
    assert mcnemar(first, second) == pytest.approx(min(1.0, 2 * tail))


def test_a_real_difference_is_found_and_none_is_not() -> None:
    generator = np.random.default_rng(1)
    targets = generator.integers(0, 3, 300)
    good = np.where(generator.random(300) < 0.9, targets, (targets + 1) % 3)
    poor = np.where(generator.random(300) < 0.6, targets, (targets + 1) % 3)
    told = compare("accuracy", targets, Predictions(good, None), Predictions(poor, None), THREE)
    assert told["difference"] == pytest.approx((good == targets).mean() - (poor == targets).mean())
    assert told["low"] > 0
    assert told["p"] < 1e-6
    same = compare("macro_f1", targets, Predictions(good, None), Predictions(good, None), THREE)
    assert same["difference"] == 0
    assert same["p"] == 1


@pytest.mark.parametrize(
    ("labels", "targets", "value"),
    [
        (THREE, np.array([0, 1, 1, 2]), 1),
        (Labels("multi_label", ("a", "b")), np.array([[1, 0], [1, 0], [0, 1]]), [1, 0]),
        (Labels("regression"), np.array([1.0, 2.0, 6.0]), 3.0),
    ],
)
def test_the_majority_answers_without_reading(labels: Labels, targets: np.ndarray, value: Any) -> None:
    predictions = load_part("tasks", labels.task).majority(targets, np.zeros(5), labels)
    assert len(predictions.values) == 5
    assert np.array_equal(predictions.values[0], value)


def test_tables_add_up_and_say_what_is_undefined() -> None:
    targets, given = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0])
    table = per_class(targets, Predictions(given, None), THREE)
    assert [row["support"] for row in table] == [2, 3, 0]
    assert table[0]["precision"] == 1 / 2
    assert table[1]["recall"] == pytest.approx(2 / 3)
    assert (table[2]["precision"], table[2]["recall"], table[2]["f1"]) == (None, None, None)
    assert table[0]["average_precision"] is None
    shares = np.array([[0.9, 0.1, 0], [0.3, 0.7, 0], [0.2, 0.8, 0], [0.4, 0.6, 0], [0.6, 0.4, 0]])
    areas = [row["average_precision"] for row in per_class(targets, Predictions(given, shares), THREE)]
    assert areas[:2] == [pytest.approx(1 / 2 + 1 / 2 * 2 / 4), pytest.approx(1 / 3 + 1 / 3 * 2 / 3 + 1 / 3 * 3 / 4)]
    assert areas[2] is None
    matrix = confusion(targets, Predictions(given, None), THREE)
    assert matrix is not None
    assert np.sum(matrix["counts"]) == 5
    assert matrix["counts"][1] == [1, 2, 0]
    assert confusion(np.ones(3), Predictions(np.ones(3), None), Labels("regression")) is None


def test_the_worst_errors_come_first() -> None:
    shares = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.05, 0.95]])
    told = worst_errors(
        np.array([0, 1, 0, 0]),
        Predictions(shares.argmax(1), shares),
        TWO,
        numbers=[2, 3, 4, 5],
        inputs=["right", "unsure", "wrong", "very wrong"],
        shown=load_part("tasks", "classification").shown,
    )
    assert [row["text"] for row in told] == ["very wrong", "wrong", "unsure"]
    assert told[0] | {"badness": 0} == {
        "row": 5,
        "text": "very wrong",
        "target": "no",
        "predicted": "yes",
        "probability": 0.95,
        "badness": 0,
    }


def curve(train: list[float], validation: list[float]) -> list[dict[str, Any]]:
    return [{"kind": "evaluation", "train_loss": a, "scores": {"loss": b}} for a, b in zip(train, validation, strict=True)]


def steps(losses: list[float]) -> list[dict[str, Any]]:
    return [{"kind": "step", "step": number + 1, "loss": loss} for number, loss in enumerate(losses)]


@pytest.mark.parametrize(
    ("history", "codes"),
    [
        (curve([1, 0.5, 0.2, 0.1], [0.9, 0.6, 0.7, 0.9]), ["over-fitting"]),
        (curve([1, 0.6, 0.5, 0.45], [0.9, 0.7, 0.65, 0.645]), []),
        (curve([1, 0.8, 0.7, 0.6], [1.0, 0.8, 0.7, 0.6]), ["under-trained"]),
        (curve([1, 1.1, 1.2, 1.3], [0.9, 0.8, 1.0, 1.2]), []),  # training got worse too: that is not over-fitting
        (curve([1.0], [1.0]), []),
        (steps([1.0] * 30), []),
        (steps([1.0] * 15 + [9.0] + [1.0] * 15), ["instability"]),
        (steps([1.0 / (1 + number) for number in range(40)]), []),
    ],
)
def test_what_the_curves_say(history: list[dict[str, Any]], codes: list[str]) -> None:
    told = findings(history)
    assert [finding.code for finding in told] == codes
    assert all(any(character.isdigit() for character in finding.message) for finding in told)
