"""The guarantee over many random splits, the sets against their definitions, and the way from the report to `predict --sets`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.engine.toy import toy_rows
from tests.evaluation.stand_in import classifier, regressor
from tunewright.analysis.conformal import FILE, Conformal, Method, fitted, load, quantile, save, sets, strangeness, with_sets
from tunewright.analysis.reports.conformal import Settings, chance_of_so_few, report
from tunewright.cli.main import app
from tunewright.core.errors import UserError
from tunewright.core.types import Predictions
from tunewright.pipeline.workflow import fit

METHODS: tuple[Method, ...] = ("lac", "aps", "raps")


def drawn(rows: int, seed: int = 0, classes: int = 10, sharp: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are too sure (right where ``sharp`` is 1), and the classes."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(rows, classes)) * 1.2
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    targets = (generator.random(rows)[:, None] > true.cumsum(1)).sum(1)
    said = np.exp(sharp * logits)
    return said / said.sum(1, keepdims=True), targets


def plain(shares: np.ndarray) -> Predictions:
    return Predictions(shares.argmax(1), shares)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("held", [50, 200])
def test_the_guarantee_holds_over_random_splits(method: Method, held: int) -> None:
    """Mean coverage over splits is at least what was asked for, and at most 1 / (n + 1) above it."""
    shares, targets = drawn(20_000)
    generator, found = np.random.default_rng(1), []
    for _ in range(400):
        chosen = generator.choice(len(targets), held + 500, replace=False)
        first, rest = chosen[:held], chosen[held:]
        made = fitted(method, plain(shares[first]), targets[first], 0.01, 2)
        found.append(sets(made, shares[rest], 0.9)[np.arange(500), targets[rest]].mean())
    error = np.std(found) / np.sqrt(len(found))
    assert np.mean(found) > 0.9 - 3 * error
    assert np.mean(found) < 0.9 + 1 / (held + 1) + 3 * error
    spread = np.sqrt(0.9 * 0.1 * (1 / (held + 2) + 1 / 500))  # Beta(k, n + 1 - k) and the binomial on top of it
    assert np.std(found) == pytest.approx(spread, rel=0.2)


def test_the_guarantee_holds_for_intervals_of_numbers() -> None:
    generator, found = np.random.default_rng(0), []
    for _ in range(400):
        values, targets = generator.normal(size=600), generator.standard_t(3, size=600)
        made = fitted("residual", Predictions(values[:100], None), targets[:100])
        found.append((np.abs(values[100:] - targets[100:]) <= made.quantile(0.8)).mean())
    assert 0.8 - 0.006 < np.mean(found) < 0.8 + 1 / 101 + 0.006


def test_the_quantile_is_the_one_of_one_row_more() -> None:
    values = np.arange(1.0, 20.0)  # 19 rows
    assert quantile(values, 0.9) == 18.0
    assert quantile(values, 0.95) == 19.0
    assert quantile(values, 0.951) == float("inf")
    assert quantile(values[:9], 0.9) == 9.0
    assert quantile(values[:8], 0.9) == float("inf")


def test_strangeness_is_what_the_papers_say() -> None:
    shares = np.array([[0.2, 0.5, 0.3]])
    assert strangeness("lac", shares)[0] == pytest.approx([0.8, 0.5, 0.7])
    assert strangeness("aps", shares)[0] == pytest.approx([0.8, 0.0, 0.5])
    assert strangeness("raps", shares, 0.1, 1)[0] == pytest.approx([0.8 + 0.2, 0.0, 0.5 + 0.1])


def test_lac_is_the_smallest_and_every_set_holds_the_most_likely_class() -> None:
    (shares, targets), (fresh, _) = drawn(4000, sharp=1), drawn(2000, 1, sharp=1)
    sizes = {}
    for method in METHODS:
        inside = sets(fitted(method, plain(shares), targets, 0.01, 2), fresh, 0.9)
        assert inside[np.arange(2000), fresh.argmax(1)].all()
        sizes[method] = inside.sum(1).mean()
    assert sizes["lac"] <= min(sizes["raps"], sizes["aps"])
    sure = np.eye(3)[[0, 1, 2]]
    assert sets(Conformal("lac", (0.0,) * 20), sure * 0.4 + 0.2, 0.9).sum(1).tolist() == [1, 1, 1]


def test_the_report_judges_on_the_test_rows_and_keeps_what_predict_needs(tmp_path: Path) -> None:
    told = report(classifier({"validation": drawn(500), "test": drawn(800, 1)}, folder=tmp_path), Settings())
    scores = {one.name: one for one in told.scores}
    for method in METHODS:
        assert abs(scores[f"coverage_{method}"].value - 0.9) < 0.04
        assert scores[f"coverage_{method}"].n == 800
    assert told.findings == ()
    made = load(tmp_path)
    assert made.method == "lac"
    assert len(made.strangeness) == 500
    inside = sets(made, drawn(800, 1)[0], 0.9)
    assert inside.sum(1).mean() == pytest.approx(scores["set_size_lac"].value)


def test_test_rows_from_elsewhere_are_told(tmp_path: Path) -> None:
    shares, targets = drawn(800, 1)
    moved = np.where(np.random.default_rng(0).random(800) < 0.15, (targets + 1) % 10, targets)
    told = report(classifier({"validation": drawn(500), "test": (shares, moved)}, folder=tmp_path), Settings())
    assert [finding.code for finding in told.findings] == ["coverage_missed"]


def test_false_alarms_are_as_rare_as_said() -> None:
    generator = np.random.default_rng(0)
    alarms = 0
    for _ in range(2000):
        true = generator.beta(90, 10)  # of 99 held rows at 0.9
        alarms += chance_of_so_few(int(generator.binomial(300, true)), 300, 99, 0.9) < 0.01
    assert alarms <= 35


def test_too_few_rows_and_numbers(tmp_path: Path) -> None:
    told = report(classifier({"validation": drawn(8), "test": drawn(50)}, folder=tmp_path), Settings())
    assert told.scores[0].value is None
    assert "too few" in told.said[0]
    with pytest.raises(UserError, match="no validation rows"):
        report(classifier({"validation": drawn(0), "test": drawn(50)}, folder=tmp_path), Settings())
    generator = np.random.default_rng(0)
    parts = {
        part: (generator.normal(size=rows), generator.normal(size=rows)) for part, rows in (("validation", 200), ("test", 300))
    }
    told = report(regressor(parts, folder=tmp_path), Settings(coverage=0.8))
    assert told.scores[0].low < 0.8 < told.scores[0].high
    answers = with_sets([{"predicted": 1.0}], Predictions(np.array([1.0]), None), load(tmp_path), (), 0.8)
    low, high = answers[0]["interval"]
    assert high - low == pytest.approx(told.scores[1].value)


def test_what_is_kept_is_read_with_suspicion(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="keeps nothing that sets could be made of"):
        load(tmp_path)
    save(tmp_path, Conformal("lac", (0.1, 0.2)))
    for wrong in ({"method": "other"}, {"strangeness": [0.3, 0.1]}, {"strangeness": "ab"}, {"penalty": None}):
        kept = json.loads((tmp_path / FILE).read_text())
        (tmp_path / FILE).write_text(json.dumps(kept | wrong))
        with pytest.raises(UserError, match="cannot be used"):
            load(tmp_path)
        (tmp_path / FILE).write_text(json.dumps(kept))
    for coverage, words in ((1.5, "between 0 and 1"), (0.9, "too few")):
        with pytest.raises(UserError, match=words):
            with_sets([], plain(np.ones((0, 2))), load(tmp_path), ("a", "b"), coverage)


def test_predict_gives_sets_from_python_and_the_command_line(tiny_bert: Path, tmp_path: Path) -> None:
    run = fit(
        toy_rows(150),
        method="full",
        model=str(tiny_bert),
        target="label",
        out=tmp_path / "run",
        training={"epochs": 1},
        evaluation={"certify": False, "resamples": 100, "reports": ["conformal"]},
    )
    rows = toy_rows(60, seed=5)
    answers = run.predict([row["text"] for row in rows], sets=0.8)
    assert all(answer["predicted"] in answer["set"] for answer in answers)
    assert np.mean([row["label"] in answer["set"] for row, answer in zip(rows, answers, strict=True)]) > 0.6
    for answer in answers:
        shares = [answer["probabilities"][name] for name in answer["set"]]
        assert shares == sorted(shares, reverse=True)
    assert "set" not in run.predict(["my card"])[0]
    called = CliRunner().invoke(
        app, ["predict", str(run.folder), "--text", rows[0]["text"], "--sets", "0.8", "--out", str(tmp_path / "out.csv")]
    )
    assert called.exit_code == 0, called.output
    written = next(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert written["set"].split("|") == answers[0]["set"]
