"""Every metric found by listing: its contract, and its value against scikit-learn, scipy or the formula."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from tunewright.core.parts import list_parts, load_part
from tunewright.core.types import Labels

NAMES = [part.name for part in list_parts("metrics")]
CLASSES = Labels("classification", ("a", "b", "c", "d"))
TAGS = Labels("multi_label", ("a", "b", "c"))
NUMBERS = Labels("regression")

generator = np.random.default_rng(0)
TARGETS = generator.integers(0, 4, 200)
SHARES = generator.dirichlet(np.ones(4), 200)
GIVEN = SHARES.argmax(1)
SETS = generator.integers(0, 2, (120, 3))
ODDS = generator.uniform(size=(120, 3))
DECIDED = (ODDS > 0.5).astype(np.int64)
X = generator.normal(size=80)
Y = X + generator.normal(size=80)
ONE_HOT = np.eye(4)[TARGETS]

EXPECTED: dict[str, tuple[np.ndarray, np.ndarray, Labels, Callable[[], float]]] = {
    "accuracy": (TARGETS, GIVEN, CLASSES, lambda: reference.accuracy_score(TARGETS, GIVEN)),
    "balanced_accuracy": (TARGETS, GIVEN, CLASSES, lambda: reference.balanced_accuracy_score(TARGETS, GIVEN)),
    "macro_f1": (TARGETS, GIVEN, CLASSES, lambda: reference.f1_score(TARGETS, GIVEN, average="macro")),
    "weighted_f1": (TARGETS, GIVEN, CLASSES, lambda: reference.f1_score(TARGETS, GIVEN, average="weighted")),
    "micro_f1": (SETS, DECIDED, TAGS, lambda: reference.f1_score(SETS, DECIDED, average="micro")),
    "matthews": (TARGETS, GIVEN, CLASSES, lambda: reference.matthews_corrcoef(TARGETS, GIVEN)),
    "log_loss": (TARGETS, SHARES, CLASSES, lambda: reference.log_loss(TARGETS, SHARES)),
    "top3_accuracy": (TARGETS, SHARES, CLASSES, lambda: reference.top_k_accuracy_score(TARGETS, SHARES, k=3)),
    "roc_auc": (SETS, ODDS, TAGS, lambda: reference.roc_auc_score(SETS, ODDS, average="macro")),
    "average_precision": (SETS, ODDS, TAGS, lambda: reference.average_precision_score(SETS, ODDS, average="macro")),
    "subset_accuracy": (SETS, DECIDED, TAGS, lambda: reference.accuracy_score(SETS, DECIDED)),
    "hamming_loss": (SETS, DECIDED, TAGS, lambda: reference.hamming_loss(SETS, DECIDED)),
    "mean_absolute_error": (X, Y, NUMBERS, lambda: reference.mean_absolute_error(X, Y)),
    "root_mean_squared_error": (X, Y, NUMBERS, lambda: reference.root_mean_squared_error(X, Y)),
    "r2": (X, Y, NUMBERS, lambda: reference.r2_score(X, Y)),
    "pearson": (X, Y, NUMBERS, lambda: np.corrcoef(X, Y)[0, 1]),
    "spearman": (X, Y, NUMBERS, lambda: np.corrcoef(stats.rankdata(X), stats.rankdata(Y))[0, 1]),
    "brier": (TARGETS, SHARES, CLASSES, lambda: np.square(ONE_HOT - SHARES).sum(1).mean()),
    "expected_calibration_error": (TARGETS, SHARES, CLASSES, lambda: calibration_gap(SHARES.max(1), GIVEN == TARGETS)),
}


def calibration_gap(sure: np.ndarray, right: np.ndarray) -> float:
    """Guo et al. 2017, equation 3, bin by bin."""
    gap = 0.0
    for low in range(15):
        inside = (sure > low / 15) & (sure <= (low + 1) / 15)
        if inside.any():
            gap += inside.sum() / len(sure) * abs(right[inside].mean() - sure[inside].mean())
    return gap


def test_every_metric_is_compared() -> None:
    assert sorted(EXPECTED) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_value(name: str) -> None:
    targets, predicted, labels, wanted = EXPECTED[name]
    assert load_part("metrics", name).value(targets, predicted, labels) == pytest.approx(wanted(), rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str) -> None:
    metric = load_part("metrics", name)
    targets, predicted, labels, _ = EXPECTED[name]
    assert metric.NEEDS in ("values", "probabilities")
    assert isinstance(metric.HIGHER_IS_BETTER, bool)
    assert metric.value(targets[:0], predicted[:0], labels) is None  # no rows: undefined, never 0 or 1
    if hasattr(metric, "sums"):
        sums = metric.sums(targets, predicted, labels)
        assert sums.ndim == 2
        assert len(sums) == len(targets)
        assert metric.of_sums(sums.sum(0), labels) == pytest.approx(metric.value(targets, predicted, labels))


@pytest.mark.parametrize("name", [name for name in NAMES if EXPECTED[name][2] is not NUMBERS])
def test_direction(name: str) -> None:
    """A perfect answer scores better than the random one."""
    metric = load_part("metrics", name)
    targets, predicted, labels, _ = EXPECTED[name]
    perfect = targets if metric.NEEDS == "values" else targets.astype(float) if targets.ndim == 2 else np.eye(4)[targets]
    better, worse = metric.value(targets, perfect, labels), metric.value(targets, predicted, labels)
    assert (better > worse) == metric.HIGHER_IS_BETTER


@pytest.mark.parametrize(
    ("name", "targets", "predicted"),
    [
        ("matthews", np.zeros(5, int), np.zeros(5, int)),
        ("r2", np.ones(5), X[:5]),
        ("pearson", X[:5], np.full(5, 0.1 + 0.2)),
        ("spearman", np.full(5, 1e-3), X[:5]),
        ("roc_auc", np.zeros((4, 3), int), ODDS[:4]),
        ("average_precision", np.zeros((4, 3), int), ODDS[:4]),
        ("micro_f1", np.zeros((4, 3), int), np.zeros((4, 3), int)),
        ("top3_accuracy", np.zeros(4, int), SHARES[:4, :3]),
    ],
)
def test_undefined_is_said(name: str, targets: np.ndarray, predicted: np.ndarray) -> None:
    assert load_part("metrics", name).value(targets, predicted, CLASSES) is None


def test_an_absent_class_is_neither_zero_nor_one() -> None:
    targets, given = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])
    wanted = reference.f1_score(targets, given, average="macro")  # over the two classes that occur, out of four
    assert load_part("metrics", "macro_f1").value(targets, given, CLASSES) == pytest.approx(wanted)
