"""Gaps between groups: fairlearn's numbers, planted gaps that are found, and none where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fairlearn")

from fairlearn.metrics import (
    demographic_parity_difference,
    demographic_parity_ratio,
    equalized_odds_difference,
    equalized_odds_ratio,
)

from tests.engine.toy import toy_rows
from tests.evaluation.stand_in import subject
from tunewright.analysis.context import AnalysisContext
from tunewright.analysis.evidence import Report
from tunewright.analysis.gaps import Rate, gaps, holm
from tunewright.analysis.reports import fairness
from tunewright.analysis.thresholds import by_group
from tunewright.core.errors import UserError
from tunewright.core.types import Labels, Predictions
from tunewright.datasets.groups import MISSING, groups_of
from tunewright.pipeline.examine import examine
from tunewright.pipeline.workflow import fit

LABELS = Labels("classification", ("no", "yes"))


def both(value: Any) -> dict[str, Any]:
    """The same for validation and test."""
    return {"validation": value, "test": value}


def asked(
    labels: Labels, targets: dict[str, Any], answers: dict[str, Predictions], cells: dict[str, Any], **more: Any
) -> AnalysisContext:
    """A subject whose rows have the given cells by part and column."""
    return subject(answers, targets, labels, column=lambda part, name: cells[part][name], **more)


def drawn(n: int, seed: int, unfair: float, groups: str = "abc") -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Targets, probabilities that are right on average, and groups; the first group's are lower by ``unfair``."""
    generator = np.random.default_rng(seed)
    group = generator.choice(list(groups), n)
    wanted = generator.integers(0, 2, n)
    sure = np.clip(generator.beta(2, 2, n) * 0.6 + 0.4 * wanted - unfair * (group == "a"), 0.01, 0.99)
    return wanted, np.column_stack([1 - sure, sure]).astype(np.float32), group.tolist()  # as networks say them


def examined(n: int = 600, seed: int = 0, unfair: float = 0.0, resamples: int = 300, **settings: Any) -> Report:
    parts = {part: drawn(n, seed + place, unfair) for part, place in (("validation", 10_000), ("test", 0))}
    made = asked(
        LABELS,
        {part: values[0] for part, values in parts.items()},
        {part: Predictions(values[1].argmax(1), values[1]) for part, values in parts.items()},
        {part: {"group": values[2]} for part, values in parts.items()},
        resamples=resamples,
    )
    return fairness.report(made, fairness.Settings(columns="group", **settings))


def test_the_numbers_are_fairlearns() -> None:
    wanted, shares, group = drawn(600, 3, 0.2)
    found = {one.name: one for one in examined(seed=3, unfair=0.2).scores}
    given = shares.argmax(1)
    expected = {
        "demographic_parity_difference": demographic_parity_difference(wanted, given, sensitive_features=group),
        "demographic_parity_ratio": demographic_parity_ratio(wanted, given, sensitive_features=group),
        "equalised_odds_difference": equalized_odds_difference(wanted, given, sensitive_features=group),
        "equalised_odds_ratio": equalized_odds_ratio(wanted, given, sensitive_features=group),
    }
    for name, value in expected.items():
        one = found[f"group:{name}"]
        assert one.value == pytest.approx(value, abs=1e-6)
        assert one.n == 600
        assert one.low is not None and one.high is not None
        assert one.low <= value <= one.high


def test_resampled_gaps_are_those_of_the_rows_drawn() -> None:
    generator = np.random.default_rng(0)
    inside = np.eye(3, dtype=np.float32)[generator.integers(0, 3, 200)]
    given, wanted = generator.random((2, 200, 1)) < 0.5
    rate = Rate.of(given, wanted, inside, 5)
    counts = generator.multinomial(200, np.full(200, 1 / 200), size=4)
    for row, gap in zip(counts, gaps(rate.means(counts))[:, 0], strict=True):
        chosen = np.repeat(np.arange(200), row)
        shares = [given[chosen, 0][wanted[chosen, 0] & (inside[chosen, at] > 0)].mean() for at in range(3)]
        assert gap == pytest.approx(max(shares) - min(shares), abs=1e-6)


def test_planted_gaps_are_found_and_equal_groups_are_left_alone() -> None:
    found = sum(bool(examined(seed=seed, unfair=0.25, resamples=200).findings) for seed in range(20))
    accused = sum(bool(examined(seed=seed, resamples=200).findings) for seed in range(60))
    assert found == 20
    assert accused <= 6  # 3 of 60 are expected by chance


def test_a_finding_names_the_groups_the_gap_and_what_to_do() -> None:
    finding = next(one for one in examined(unfair=0.3).findings if "are given 'yes'" in one.message)
    assert finding.message.startswith("group: 'a' and ")
    assert "data.group_reweighting=group or --set head.thresholds_by=group" in finding.message
    assert finding.count == 600
    other = examined(unfair=0.3, positive="no")
    assert any("are given 'no'" in one.message for one in other.findings)
    with pytest.raises(UserError, match="maybe"):
        examined(positive="maybe")


def test_small_groups_are_named_and_not_compared() -> None:
    wanted, shares, group = drawn(300, 0, 0.0)
    group[:5] = ["rare"] * 5
    cells: list[Any] = [None if place % 10 == 9 else name for place, name in enumerate(group)]
    made = asked(
        LABELS,
        both(wanted),
        both(Predictions(shares.argmax(1), shares)),
        both({"group": cells}),
    )
    found = fairness.report(made, fairness.Settings(columns=("group",)))
    assert "'rare' (5)" in found.said[0]
    rows = {row[0]: row for row in found.grids[1].rows}
    assert rows["rare"][3] == "too few rows (5)"
    assert rows[MISSING][1] == 30
    assert all("rare" not in finding.message for finding in found.findings)


def test_two_groups_of_which_one_is_too_small_are_not_compared_at_all() -> None:
    wanted, shares, _ = drawn(100, 0, 0.0)
    made = asked(
        LABELS,
        both(wanted),
        both(Predictions(shares.argmax(1), shares)),
        both({"group": ["x"] * 97 + ["y"] * 3}),
    )
    found = fairness.report(made, fairness.Settings(columns=("group",)))
    assert found.scores == ()
    assert found.findings == ()
    assert "'y' (3)" in found.said[0]


def test_numbers_are_cut_and_that_is_said() -> None:
    groups = groups_of("age", {"validation": ["70"], "test": [*map(str, range(20, 60)), None, ""]}, 4)
    assert len(groups.names) == 5
    assert groups.names[-1] == MISSING
    assert groups.names[0].startswith("20 to")
    assert "cut into 4 parts" in groups.said
    assert np.bincount(groups.places["test"]).tolist()[-1] == 2
    assert groups_of("kind", {"test": [3, 1, 2, 10]}, 4).names == ("1", "2", "3", "10")


def test_several_classes_tell_the_class_with_the_largest_gap() -> None:
    generator = np.random.default_rng(0)
    group = generator.choice(["a", "b"], 900)
    targets = generator.integers(0, 3, 900)
    values = targets.copy()
    values[(targets == 2) & (group == "a") & (generator.random(900) < 0.6)] = 0
    shares = np.eye(3)[values] * 0.8 + 0.2 / 3
    made = asked(
        Labels("classification", ("u", "v", "w")),
        both(targets),
        both(Predictions(values, shares)),
        both({"group": group.tolist()}),
    )
    found = fairness.report(made, fairness.Settings(columns=("group",)))
    odds = next(one for one in found.scores if one.name == "group:equalised_odds_difference")
    rates = [(values[(targets == 2) & (group == name)] == 2).mean() for name in "ab"]
    assert odds.value == pytest.approx(abs(rates[0] - rates[1]), abs=1e-6)
    assert any("given 'w'" in one.message for one in found.findings)


def test_numbers_predicted_are_compared_by_their_errors() -> None:
    generator = np.random.default_rng(0)
    group, targets = generator.choice(["a", "b"], 400), generator.normal(size=400)
    values = targets + generator.normal(size=400) * np.where(group == "a", 1.0, 0.1)
    made = asked(
        Labels("regression"),
        both(targets),
        both(Predictions(values, None)),
        both({"group": group.tolist()}),
    )
    found = fairness.report(made, fairness.Settings(columns=("group",)))
    assert [finding.code for finding in found.findings] == ["unequal_groups"]
    assert "mean absolute errors" in found.findings[0].message
    errors = [np.abs(values - targets)[group == name].mean() for name in "ab"]
    score = next(one for one in found.scores if "absolute" in one.name)
    assert score.value == pytest.approx(errors[0] - errors[1], abs=1e-6)


def test_validation_rows_need_the_column_for_thresholds_alone() -> None:
    wanted, shares, group = drawn(100, 0, 0.0)
    answers = both(Predictions(shares.argmax(1), shares))
    made = asked(LABELS, both(wanted), answers, {"test": {"group": group}, "validation": {}})
    assert fairness.report(made, fairness.Settings(columns=("group",))).scores
    with pytest.raises(KeyError):
        fairness.report(made, fairness.Settings(columns=("group",), thresholds=True))


def test_thresholds_by_group_close_the_gap() -> None:
    found = examined(n=2000, unfair=0.25, thresholds=True)
    rows = {row[0]: [float(str(cell).split()[0]) for cell in row[1:]] for row in found.grids[-2].rows}
    rules = {row[0]: str(row[1]) for row in found.grids[-1].rows}
    assert rows["demographic parity, kept"][1] < 0.1
    assert set(rows) == {
        *("as it is", "demographic parity, kept", "equal opportunity, kept", "demographic parity", "equalized odds"),
    }
    assert float(rules["a"].split()[1]) < float(rules["b"].split()[1]) - 0.1  # the group that was told too little
    assert rows["as it is"][1] > 0.3
    assert rows["demographic parity"][1] < 0.1
    assert rows["equalized odds"][2] < 0.12
    one = np.array([0.2, 0.9])
    with pytest.raises(UserError, match="no group has rows of both classes"):
        by_group(one, np.array([True, True]), np.array([0, 1]), one, np.array([0, 1]), "demographic_parity")
    wanted, shares, group = drawn(400, 0, 0.25)
    places = np.array(["abc".index(name) for name in group])
    wanted[places == 2] = 1
    given, rules = by_group(shares[:, 1], wanted == 1, places, shares[:, 1], places, "demographic_parity")
    assert set(rules) == {0, 1}
    assert (given[places == 2] == (shares[places == 2, 1] > 0.5)).all()


def test_without_columns_the_next_command_is_told() -> None:
    made = asked(LABELS, {}, {}, {})
    with pytest.raises(UserError, match="--set columns=NAME"):
        fairness.report(made, fairness.Settings())


def test_several_tests_are_raised_together() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


@pytest.mark.parametrize("task", ["multi_label", "ordinal"])
def test_labels_and_grades_are_compared_class_by_class(task: Any) -> None:
    generator = np.random.default_rng(0)
    group, targets = generator.choice(["a", "b"], 600), generator.integers(0, 3, 600)
    values = np.where((group == "a") & (generator.random(600) < 0.5), 0, targets)
    names = ("u", "v", "w")
    if task == "multi_label":
        targets, values = (np.eye(3, dtype=int)[found] for found in (targets, values))
    made = asked(Labels(task, names), both(targets), both(Predictions(values, None)), both({"group": group.tolist()}))
    found = fairness.report(made, fairness.Settings(columns=("group",)))
    gap = next(one for one in found.scores if one.name == "group:demographic_parity_difference")
    chosen = values[:, 0] == 1 if task == "multi_label" else values == 0
    assert gap.value == pytest.approx(chosen[group == "a"].mean() - chosen[group == "b"].mean(), abs=1e-6)
    assert any("are given 'u'" in one.message for one in found.findings)


def test_a_run_compares_groups_that_its_model_does_not_read(tiny_bert: Path, tmp_path: Path) -> None:
    rows = [row | {"side": "left" if place % 3 else "right"} for place, row in enumerate(toy_rows(120))]
    run = fit(
        rows,
        method="full",
        model=str(tiny_bert),
        text="text",
        target="label",
        out=tmp_path / "run",
        data={"group_reweighting": "side", "test_size": 0.4},
        training={"epochs": 1},
        evaluation={"certify": False, "resamples": 100, "reports": [{"name": "fairness", "columns": "side", "smallest": 5}]},
    )
    found = run.reports["fairness"]
    assert found["error"] is None
    assert [row[0] for row in found["grids"][1]["rows"]] == ["left", "right"]
    assert sum(row[1] for row in found["grids"][1]["rows"]) == 48
    assert "'nobody' is not known" in str(examine(run, "fairness", columns="nobody")["fairness"]["error"])
