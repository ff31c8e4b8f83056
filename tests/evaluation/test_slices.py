"""Slices: a planted weakness is found and told, noise is not, and every number is that of its formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import fisher_exact, mannwhitneyu

from tests.evaluation.stand_in import classifier, regressor
from tunewright.analysis.evidence import Report
from tunewright.analysis.reports.slices import Settings, report
from tunewright.analysis.slicing import Loss, _excess, by_cluster, by_column, by_word, p_against_rest, thirds, worst
from tunewright.evaluation.intervals import exact_interval

WORDS = ["card", "money", "bank", "order", "parcel", "late", "lost", "broken", "happy", "sad", "fine", "good", "price", "refund"]


def texts_of(generator: np.random.Generator, rows: int) -> list[tuple[str]]:
    return [(" ".join(generator.choice(WORDS, generator.integers(2, 9))),) for _ in range(rows)]


def asked(seed: int, *, rows: int = 600, planted: str | None = None, base: float = 0.15, **more: Any) -> tuple[Any, np.ndarray]:
    """A classifier of two classes that is wrong at random, and far oftener where a word is planted."""
    generator = np.random.default_rng(seed)
    texts = texts_of(generator, rows)
    has = np.array([planted is not None and planted in text.split() for (text,) in texts])
    targets = generator.integers(0, 2, rows)
    wrong = generator.random(rows) < np.where(has, 0.55, base)
    shares = np.eye(2)[np.where(wrong, 1 - targets, targets)] * 0.8 + 0.1
    features = generator.normal(size=(rows, 6)) + has[:, None] * 4.0
    made = classifier(
        {"test": (shares, targets)}, inputs={"test": texts}, seed=seed, features=lambda inputs, before: features, **more
    )
    return made, has


def found_in(made: Any, **settings: Any) -> Report:
    return report(made, Settings(**settings))


def test_a_planted_weakness_is_found_by_its_word_and_by_its_cluster() -> None:
    hits = {"word": 0, "cluster": 0}
    for seed in range(10):
        made, has = asked(seed, planted="refund")
        told = found_in(made)
        for family, settings in (("word", {"clusters": 0}), ("cluster", {"clusters": 2})):
            found = found_in(made, **settings)
            named = [finding.message for finding in found.findings if "'refund'" in finding.message]
            hits[family] += bool(named)
        assert all(set(finding.rows) <= set(range(1, 601)) for finding in told.findings)
    assert hits["word"] >= 9 and hits["cluster"] >= 9
    assert has.any()


def test_noise_is_rarely_accused() -> None:
    """Two families of tests at 0.05 each: of 100 models without a weak slice about ten may be accused, by chance."""
    accused = sum(bool(found_in(asked(seed)[0]).findings) for seed in range(100))
    assert accused <= 16


def test_the_table_is_the_share_right_with_its_exact_interval_and_fishers_p() -> None:
    made, _ = asked(3)
    lengths = np.array([len(text) for (text,) in made.rows["test"].inputs])
    wrong = made.answers("test").values != made.rows["test"].targets
    grid = found_in(made, clusters=0).grids[0]
    low, high = np.quantile(lengths, [1 / 3, 2 / 3])
    masks = (lengths <= low, (lengths > low) & (lengths <= high), lengths > high)
    plain = [fisher_exact([[w.sum(), (~w).sum()] for w in (wrong[mask], wrong[~mask])]).pvalue for mask in masks]
    for row, mask, p in zip(grid.rows, masks, plain, strict=True):
        right = int((~wrong[mask]).sum())
        assert row[2:6] == pytest.approx((mask.sum(), right / mask.sum(), *exact_interval(right, int(mask.sum()), 0.95)))
        assert row[6] == pytest.approx((~wrong[~mask]).mean())
        assert p - 1e-12 <= row[7] <= min(1.0, 3 * p) + 1e-12  # Holm raises by at most the number of tests
    assert sum(row[2] for row in grid.rows) == 600


def test_columns_are_scored_apart() -> None:
    generator = np.random.default_rng(0)
    region = generator.choice(["north", "south", ""], 600).tolist()
    age = generator.integers(18, 80, 600).astype(str).tolist()
    made, _ = asked(1, column=lambda part, name: {"region": region, "age": age}[name])
    rows = found_in(made, columns=("region", "age"), clusters=0).grids[0].rows
    assert [row[0] for row in rows] == ["length"] * 3 + ["region"] * 3 + ["age"] * 3
    assert {row[1] for row in rows if row[0] == "region"} == {"north", "south", "(empty)"}
    assert sum(int(row[2] or 0) for row in rows if row[0] == "age") == 600


def test_pairs_of_classes_are_counted() -> None:
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 4, 400)
    given = targets.copy()
    given[(targets == 2) & (generator.random(400) < 0.4)] = 3
    shares = np.eye(4)[given] * 0.8 + 0.05
    made = classifier(
        {"test": (shares, targets)}, inputs={"test": texts_of(generator, 400)}, features=lambda i, b: np.zeros((400, 2))
    )
    (pair,) = found_in(made, clusters=0).grids[-1].rows
    many = int((targets == 2).sum())
    times = int(((targets == 2) & (given == 3)).sum())
    assert pair[:5] == ("c", "d", times, many, pytest.approx(times / many))
    assert pair[5:7] == pytest.approx(exact_interval(times, many, 0.95))
    assert pair[7] < 1e-6


def test_numbers_are_scored_by_their_error() -> None:
    generator = np.random.default_rng(0)
    texts = texts_of(generator, 500)
    has = np.array(["refund" in text.split() for (text,) in texts])
    targets = generator.normal(size=500)
    given = targets + generator.normal(size=500) * np.where(has, 3.0, 0.5)
    found = found_in(regressor({"test": (given, targets)}, inputs={"test": texts}), clusters=0)
    assert any("'refund'" in finding.message for finding in found.findings)
    value = next(one for one in found.scores if "'refund'" in one.name)
    assert value.low < value.value < value.high
    assert value.value == pytest.approx(2.4, abs=0.8)


def test_what_is_undefined_is_said() -> None:
    targets = np.array([0, 1] * 10)
    same = [("same",)] * 20
    made = classifier({"test": (np.eye(2)[targets], targets)}, inputs={"test": same}, features=lambda i, b: np.zeros((20, 2)))
    found = found_in(made)
    assert [row[2:6] for row in found.grids[0].rows] == [
        (20, 1.0, *exact_interval(20, 20, 0.95)),
        (0, None, None, None),
        (0, None, None, None),
    ]
    assert [row[7] for row in found.grids[0].rows] == [None, None, None]
    assert "No slices were searched" in found.said[-1]
    assert not found.findings
    assert all(one.value is not None or one.note for one in found.scores)


def test_rows_without_texts_are_searched_by_clusters_alone() -> None:
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 2, 600)
    weak = generator.random(600) < 0.25
    wrong = generator.random(600) < np.where(weak, 0.5, 0.05)
    features = generator.normal(size=(600, 4)) + weak[:, None] * 6
    shares = np.eye(2)[np.where(wrong, 1 - targets, targets)] * 0.8 + 0.1
    inputs = {"test": [(b"", "")] * 600}
    made = classifier({"test": (shares, targets)}, inputs=inputs, kind="image", features=lambda i, b: features)
    (finding,) = found_in(made, clusters=2).findings
    assert "rows near each other" in finding.message


def test_the_parts_of_a_slice() -> None:
    assert [one.mask.sum() for one in thirds(np.arange(9.0), "x")] == [3, 3, 3]
    assert [one.mask.sum() for one in thirds(np.array([1.0, np.nan, 2.0, 3.0]), "x")] == [1, 1, 1]
    assert thirds(np.array([np.nan]), "x") == []
    assert [(one.name, int(one.mask.sum())) for one in by_column(["a", "b", "a", None], "c")] == [
        ("a", 2),
        ("b", 1),
        ("(empty)", 1),
    ]
    words = by_word([("Good bad",), ("good",), ("fine good",), ("bad",)], 1)
    assert {one.name: one.mask.tolist() for one in words}["'good'"] == [True, True, True, False]
    assert len(by_cluster(np.repeat(np.eye(2) * 9, 10, 0), [], 2, 3, 0)) == 2


def test_p_values_are_those_of_scipy_and_undefined_without_a_rest() -> None:
    values = np.array([1.0, 1, 0, 0, 0, 0, 1, 0])
    mask = np.arange(8) < 3
    assert p_against_rest(Loss(values, True, "accuracy"), mask, worse=True) == fisher_exact([[2, 1], [1, 4]], "greater").pvalue
    numbers = Loss(np.arange(8.0), False, "error")
    assert p_against_rest(numbers, mask, worse=False) == mannwhitneyu([0.0, 1, 2], [3.0, 4, 5, 6, 7]).pvalue
    assert p_against_rest(numbers, np.ones(8, dtype=bool), worse=False) is None


def test_nearly_equal_slices_are_judged_once() -> None:
    values = np.zeros(100)
    values[:20] = 1
    first = by_column(["x"] * 20 + ["y"] * 80, "a")[1]
    second = by_column(["x"] * 19 + ["y"] * 81, "b")[1]
    explored = np.arange(100) % 2 == 0
    assert len(worst([first, second], Loss(values, True, "accuracy"), explored, 5, 3)) == 1


def test_losses_that_differ_by_rounding_alone_speak_against_no_slice() -> None:
    generator = np.random.default_rng(0)
    inside = generator.random((5, 200)) < 0.3
    noise = generator.integers(-4, 5, 200) * np.finfo(np.float32).eps
    equal = (0.7 * (1 + noise)).astype(np.float32)
    assert equal.std() > 0
    assert (_excess(inside, equal) == 0).all()
    real = equal + np.float32(1e-3) * inside[0]
    assert _excess(inside, real).argmax() == 0
    assert _excess(inside, real)[0] > 5
