"""Risk and coverage against their definitions, the guarantee over many draws, and what is said of a probability that is noise."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import auc

from tests.evaluation.stand_in import classifier
from tunewright.analysis.reports.selective_prediction import Settings, curve, report, risk_bound, risk_coverage_area, threshold


def drawn(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Certainties, and answers that are right as often as they say."""
    generator = np.random.default_rng(seed)
    sure = generator.uniform(0.5, 1.0, rows)
    return sure, generator.random(rows) < sure


def test_the_area_is_the_mean_risk_of_the_rows_that_are_surer() -> None:
    sure, right = drawn(300)
    order = np.argsort(-sure)
    by_hand = np.mean([(~right[order][: place + 1]).mean() for place in range(300)])
    assert risk_coverage_area(sure, right)(np.ones((1, 300)))[0] == pytest.approx(by_hand)
    coverage, risk, _ = curve(sure, right)
    assert auc(coverage, risk) == pytest.approx(by_hand, abs=0.01)


def test_rows_that_count_twice_are_rows_that_are_there_twice() -> None:
    sure, right = drawn(50)
    counts = np.random.default_rng(1).multinomial(50, np.full(50, 0.02), size=1)
    twice = np.repeat(np.arange(50), counts[0])
    expected = risk_coverage_area(sure[twice], right[twice])(np.ones((1, 50)))[0]
    assert risk_coverage_area(sure, right)(counts)[0] == pytest.approx(expected)


def test_equal_certainties_cannot_be_told_apart() -> None:
    sure, right = np.array([0.9, 0.6, 0.6, 0.6]), np.array([True, False, True, True])
    coverage, risk, at = curve(sure, right)
    assert coverage.tolist() == [0.25, 1.0]
    assert risk.tolist() == [0.0, 0.25]
    assert at.tolist() == [0.9, 0.6]
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]):
        assert risk_coverage_area(sure[order], right[order])(np.ones((1, 4)))[0] == pytest.approx((0 + 3 * 0.25) / 4)


def test_a_threshold_keeps_its_risk_on_the_rows_that_it_was_chosen_on() -> None:
    sure, right = drawn(500)
    found = threshold(sure, right, 0.1)
    assert found is not None
    assert (~right[sure >= found]).mean() <= 0.1
    assert threshold(sure, np.zeros(500, dtype=bool), 0.1) is None
    assert threshold(sure, np.ones(500, dtype=bool), 0.0) == sure.min()
    assert threshold(sure[:0], right[:0], 0.1) is None


def test_a_guarantee_is_kept_by_new_rows() -> None:
    """True risk from t on is the mean of 1 - sure above t: (1 - t) / 2."""
    broken = dict.fromkeys((0.0, 0.9), 0)
    for seed in range(300):
        sure, right = drawn(400, seed)
        for guarantee in broken:
            found = threshold(sure, right, 0.1, guarantee)
            broken[guarantee] += found is not None and (1 - found) / 2 > 0.1
    assert broken[0.9] <= 30
    assert broken[0.0] > 60  # what the validation rows' own word is worth


def test_the_bound_is_the_one_sided_binomial_one() -> None:
    from scipy.stats import binomtest

    for wrong, many in ((0, 20), (3, 50), (49, 50)):
        expected = binomtest(wrong, many).proportion_ci(0.9, method="exact").high  # two-sided 90 % is one-sided 95 %
        assert risk_bound(wrong, many, 0.95) == pytest.approx(expected, rel=1e-6)
    assert risk_bound(5, 5, 0.95) == 1.0


def test_a_probability_that_is_noise_is_told_and_one_that_knows_is_not() -> None:
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 2, 400)
    noise = generator.uniform(0.5, 1.0, 400)
    answers = np.where(generator.random(400) < 0.7, targets, 1 - targets)
    sides = np.where(answers[:, None] == np.arange(2), noise[:, None], 1 - noise[:, None])
    told = report(classifier({"validation": (sides, targets), "test": (sides, targets)}), Settings())
    assert "uncertainty_tells_nothing" in [finding.code for finding in told.findings]
    knowing = np.where(answers == targets, 0.5 + noise / 2, 0.5 + noise / 10)
    sides = np.where(answers[:, None] == np.arange(2), knowing[:, None], 1 - knowing[:, None])
    told = report(classifier({"validation": (sides, targets), "test": (sides, targets)}), Settings(risks=(0.05,)))
    assert told.findings == ()
    scores = {one.name: one for one in told.scores}
    assert scores["abstention_gain"].low > 0.1
    assert 0.5 < scores["coverage_at_risk_0.05"].value < 0.9
    assert scores["risk_of_answers_at_0.05"].value <= 0.05


def test_validation_rows_that_are_too_easy_are_told_and_an_impossible_risk_is_undefined() -> None:
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 2, 400)
    sure = np.where(targets[:, None] == np.arange(2), 0.9, 0.1)
    wrong = np.where((generator.random(400) < 0.3)[:, None], 1 - sure, sure)
    told = report(classifier({"validation": (sure, targets), "test": (wrong, targets)}), Settings(risks=(0.05,)))
    assert "risk_not_kept" in [finding.code for finding in told.findings]
    told = report(classifier({"validation": (1 - sure, targets), "test": (wrong, targets)}), Settings(risks=(0.05,)))
    scores = {one.name: one for one in told.scores}
    assert scores["coverage_at_risk_0.05"].value is None
    assert scores["coverage_at_risk_0.05"].note
