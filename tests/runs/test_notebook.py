"""Runs, reports, comparisons and dry runs in a notebook: short, escaped, with nothing read from elsewhere."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.runs.sample import HOSTILE, sample_run
from tunewright.analysis.evidence import Chart, Grid, Report
from tunewright.config.recipe import Recipe
from tunewright.core.errors import UserError
from tunewright.core.html import MOST_ROWS, table
from tunewright.core.types import Finding, Score
from tunewright.pipeline.plan_html import checked_html
from tunewright.pipeline.planning import Plan
from tunewright.runs.comparison import Comparison
from tunewright.runs.confusion_matrix import ConfusionMatrix
from tunewright.runs.reports import Reports
from tunewright.runs.run import Run
from tunewright.training.estimate import Estimate

_VOID = {"br", "hr", "img"}


class _Balanced(HTMLParser):
    """Counts open tags; attributes that load something are remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open += [tag] * (tag not in _VOID)
        self.loads += [name for name, _ in attrs if name in ("src", "href", "style", "onclick")]
        self.loads += [tag] * (tag in ("script", "iframe", "link", "img"))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def sound(html: str) -> str:
    """The HTML, once it is seen to be whole, short, escaped and self-contained."""
    parser = _Balanced()
    parser.feed(html)
    parser.close()
    assert not parser.open
    assert not parser.loads
    assert "\x1b" not in html
    assert 0 < len(html) < 20_000
    return html


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(sample_run(tmp_path / "mine"))


def report() -> Report:
    score = Score("accuracy", 0.5, 0.4, 0.6, 9)
    rows = tuple((HOSTILE, index, None) for index in range(MOST_ROWS + 5))
    grids, charts = (Grid("by group", ("group", "n", "gap"), rows),), (Chart("curve", "x", "y", ()),)
    return Report(("It means little.",), (score,), (Finding("a", HOSTILE, "warning"),), grids, charts)


def plan() -> Plan:
    layers = [{"depth": 0, "name": HOSTILE, "parameters": 1000, "trainable": 10, "rate": 1e-5}]
    return Plan(Recipe(), layers, Estimate(90.0, 2**30), ("The text column is 'message'.",), (Finding("a", "few rows"),))


def compared() -> Comparison:
    paired = {"metric": "accuracy", "difference": 0.1, "low": 0.0, "high": 0.2, "p": 0.01, "test": "McNemar, exact"}
    one = Score("accuracy", 0.9, 0.8, 1.0, 10).as_dict()
    scores = {"a": {"accuracy": one}, "b": {"accuracy": one, "macro_f1": one}}
    recipe = {"method.name": ["lora", HOSTILE]}
    return Comparison(runs=["runs/a", "runs/b"], scores=scores, recipe=recipe, differences=["torch"], paired=paired)


def test_the_check_can_fail() -> None:
    for wrong in ("<p>", '<img src="x">', "<script></script>", "\x1b", "", "<p>" + "x" * 20_000 + "</p>"):
        with pytest.raises(AssertionError):
            sound(wrong)
    assert "<script>" in HOSTILE


def test_a_run_shows_its_scores_beside_the_baselines(run: Run) -> None:
    html = sound(run._repr_html_())
    for said in ("Run mine", "full", "fine-tuned", "majority", "0.912 [0.890, 0.930]", "report.html"):
        assert said in html


def test_a_run_that_is_not_finished_says_so(run: Run) -> None:
    (run.folder / "scores.json").unlink()
    manifest = json.loads((run.folder / "manifest.json").read_text()) | {"status": "training"}
    (run.folder / "manifest.json").write_text(json.dumps(manifest))
    html = sound(run._repr_html_())
    assert "training" in html
    assert "No scores yet" in html


def test_a_report_shows_words_scores_findings_and_the_first_rows() -> None:
    html = sound(report()._repr_html_())
    for said in ("It means little.", "0.500 [0.400, 0.600]", "warning: &lt;script&gt;", "by group", "and 5 more", "1 drawings"):
        assert said in html
    assert html.count("<tr>") == 1 + 1 + 1 + MOST_ROWS  # two heads, a score, the rows


def test_reports_of_a_run_stay_dictionaries_and_are_shown(run: Run) -> None:
    entry = report().as_dict() | {"error": "a group is too small", "seconds": 0.1}
    scores = json.loads((run.folder / "scores.json").read_text()) | {"reports": {"label_noise": entry}}
    (run.folder / "scores.json").write_text(json.dumps(scores))
    assert isinstance(run.reports, Reports)
    assert run.reports == json.loads(json.dumps({"label_noise": entry}))
    html = sound(run.reports["label_noise"]._repr_html_())
    assert "label noise" in html
    assert "a group is too small" in html
    assert html == run.reports._repr_html_()


def test_a_comparison_stays_a_dictionary_and_is_shown() -> None:
    html = sound(compared()._repr_html_())
    for said in ("accuracy", "a − b: accuracy +0.100, p = 0.01", "method.name", "differs: torch"):
        assert said in html
    assert json.loads(json.dumps(compared()))["paired"]["p"] == 0.01


def test_a_dry_run_and_a_check_are_shown() -> None:
    html = sound(plan()._repr_html_())
    for said in ("Dry run", "10 of 1", "1.00 GiB", "1 min 30 s", "note: few rows"):
        assert said in html
    checked: Any = SimpleNamespace(
        as_dict=lambda: {"rows": {"train": 7}, "said": [HOSTILE], "findings": [Finding("a", "b").as_dict()]}
    )
    assert "<td>7</td>" in sound(checked_html(checked))


def test_scores_are_a_list_and_a_frame(run: Run) -> None:
    pandas = pytest.importorskip("pandas")
    assert [one.name for one in run.scores] == ["accuracy", "roc_auc"]
    assert run.scores[0].value == 0.912
    frame = run.scores.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns[:4]) == ["name", "value", "low", "high"]
    assert frame["value"].iloc[0] == 0.912
    assert pandas.isna(frame["value"].iloc[1])
    assert "0.912 [0.890, 0.930]" in sound(run.scores._repr_html_())


def test_history_is_a_list_a_frame_and_a_plot(run: Run) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    history = run.history
    assert sum(event["kind"] == "step" for event in history) == 500
    assert list(history.to_frame()["step"]) == [100, 200, 300, 400, 500]
    axes = history.plot()
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert len(lines["training"].get_xdata()) == 500
    checks = [event for event in history if event["kind"] == "evaluation"]
    assert list(lines["validation"].get_ydata()) == [event["scores"]["loss"] for event in checks]
    assert [list(line.get_xdata()) for name, line in lines.items() if name.startswith("_")] == [[200, 200]]  # the second stage
    again = history.plot("accuracy", ax=axes.figure.add_subplot())
    assert again.get_ylabel() == "accuracy"
    assert "Evaluations" in sound(history._repr_html_())
    with pytest.raises(UserError, match="Did you mean 'accuracy'"):
        history.plot("acuracy")
    matplotlib.pyplot.close("all")


def test_the_confusion_matrix_is_labeled(run: Run) -> None:
    matrix = run.confusion_matrix()
    assert matrix.labels[1] == "a_long_class_name_1"
    assert matrix.counts[0][:3] == (20, 3, 0)
    frame = matrix.to_frame()
    assert frame.loc["a_long_class_name_1", "a_long_class_name_2"] == 3
    assert (frame.index.name, frame.columns.name) == ("class", "predicted as")
    assert "<td>20</td>" in sound(matrix._repr_html_())


def test_of_many_classes_the_most_confused_are_shown() -> None:
    labels = tuple(f"class {index}" for index in range(30))
    counts = tuple(tuple(9 if (i, j) == (3, 4) else int(i == j) for j in range(30)) for i in range(30))
    matrix = ConfusionMatrix(labels, counts)
    assert matrix.most_confused() == [("class 3", "class 4", 9)]
    assert "Most confused" in sound(matrix._repr_html_())


def test_a_task_without_one_has_no_confusion_matrix(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="regression has no confusion matrix"):
        Run(sample_run(tmp_path / "run", regression=True)).confusion_matrix()


@pytest.mark.parametrize(
    ("missing", "call"),
    [
        ("pandas", lambda run: run.scores.to_frame()),
        ("pandas", lambda run: run.history.to_frame()),
        ("pandas", lambda run: run.confusion_matrix().to_frame()),
        ("matplotlib.pyplot", lambda run: run.history.plot()),
    ],
)
def test_a_missing_package_is_named_with_its_extra(run: Run, monkeypatch: pytest.MonkeyPatch, missing: str, call: Any) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UserError, match=re.escape("tunewright[notebook]")):
        call(run)


def test_a_table_escapes_and_says_how_many_rows_are_left_out() -> None:
    html = sound(str(table(("<b>",), [("<i>",)] * (MOST_ROWS + 2))))
    assert "&lt;b&gt;" in html
    assert html.count("&lt;i&gt;") == MOST_ROWS
    assert "and 2 more" in html
    assert "more" not in str(table(("a",), [(1,)] * MOST_ROWS))
