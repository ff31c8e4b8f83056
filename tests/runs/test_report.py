"""The page: whole, self-contained, safe with any text, and tolerant of what is missing."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.runs.sample import sample_run
from tunewright.analysis import html_page as report
from tunewright.analysis.html_page import _cell as shown_cell
from tunewright.analysis.html_page import headline, write_report
from tunewright.analysis.plots import Series, line_chart, number, ticks

_VOID = {"meta", "br", "input"}


class _Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _page(folder: Path) -> str:
    return write_report(folder).read_text(encoding="utf-8")


@pytest.mark.parametrize(("classes", "regression"), [(8, False), (77, False), (8, True)])
def test_every_tag_is_closed_and_nothing_is_loaded(tmp_path: Path, classes: int, regression: bool) -> None:
    page = _page(sample_run(tmp_path / "run", classes=classes, regression=regression))
    parser = _Balance()
    parser.feed(page)
    assert parser.open == []
    assert not re.search(r'(src|href)=(?!"data:)|https?://|@import|url\(', page)


def test_text_of_the_data_stays_text(tmp_path: Path) -> None:
    page = _page(sample_run(tmp_path / "run"))
    own = (Path(report.__file__).with_name("errors.js")).read_text(encoding="utf-8")
    assert page.count("<script") == 1
    assert page.count(f"<script>{own}</script>") == 1
    digest = b64encode(sha256(own.encode()).digest()).decode()
    assert "default-src 'none'" in page
    assert f"script-src &#39;sha256-{digest}&#39;" in page  # no other script runs, and nothing is fetched
    assert "\x1b" not in page
    assert "&lt;script&gt;" in page


def test_undefined_is_said(tmp_path: Path) -> None:
    assert _page(sample_run(tmp_path / "run")).count(">undefined<") == 7  # roc_auc of three models; four cells of the last class


@pytest.mark.parametrize(
    ("cell", "text"),
    [(0.0, "0.000"), (1.6e-19, "2e-19"), (-4e-4, "-4e-04"), (0.0005, "0.001"), (1234.5, "1234"), (None, "undefined")],
)
def test_a_number_that_is_not_0_is_not_shown_as_0(cell: float | None, text: str) -> None:
    assert shown_cell(cell)["text"] == text


def test_a_large_matrix_is_told_by_its_largest_cells(tmp_path: Path) -> None:
    assert "taken for" in _page(sample_run(tmp_path / "small"))
    assert 'class="hit"' in _page(sample_run(tmp_path / "middle", classes=40))
    page = _page(sample_run(tmp_path / "large", classes=41))
    assert 'class="hit"' not in page
    assert "3 of 23" in page


@pytest.mark.parametrize("missing", ["scores.json", "details.json", "data.json", "manifest.json", "history.jsonl", "recipe.yaml"])
def test_a_missing_file_leaves_its_block_out(tmp_path: Path, missing: str) -> None:
    folder = sample_run(tmp_path / "run")
    (folder / missing).unlink()
    assert "Make it again" in _page(folder)


@pytest.mark.parametrize("file", ["scores", "details", "data", "manifest"])
def test_a_missing_block_is_left_out(tmp_path: Path, file: str) -> None:
    folder = sample_run(tmp_path / "run")
    path = folder / f"{file}.json"
    whole = json.loads(path.read_text(encoding="utf-8"))
    for key in whole:
        path.write_text(json.dumps({name: value for name, value in whole.items() if name != key}), encoding="utf-8")
        assert "Make it again" in _page(folder)


def test_the_gain_is_said_with_its_interval_and_test(tmp_path: Path) -> None:
    scores = json.loads((sample_run(tmp_path / "run") / "scores.json").read_text(encoding="utf-8"))
    assert headline(scores) == [
        "On 600 test rows the fine-tuned model reaches accuracy 0.912 (0.890 to 0.930).",
        "That is 0.062 more than the frozen baseline on the same rows (+0.040 to +0.080); p < 0.001, McNemar, exact.",
    ]


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(3, 3) == [3]
    assert [number(value) for value in (0, 5e-5, 0.25, 1200)] == ["0", "5e-5", "0.25", "1200"]


def test_a_line_goes_through_its_points_and_skips_what_is_not_finite() -> None:
    svg = line_chart("loss", [Series("loss", "c1", ((0, 0), (1, float("nan")), (2, 1)))])
    points = re.search(r'points="([^"]+)"', svg)
    assert points is not None
    (x0, y0), (x1, y1) = (tuple(map(float, pair.split(","))) for pair in points[1].split())
    assert (x0, x1) == (46.0, 350.0)
    assert y0 > y1  # up is up
    assert line_chart("loss", [Series("loss", "c1", ((0, float("inf")),))]) == ""


def test_a_stage_outside_the_drawn_steps_is_not_marked() -> None:
    line = [Series("loss", "c1", ((100, 0), (200, 1)))]
    assert 'class="mark"' in line_chart("loss", line, marks=[(150, "top")])
    assert 'class="mark"' not in line_chart("loss", line, marks=[(0, "head")])
