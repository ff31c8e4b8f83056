"""The worst errors in a real browser: filtered, searched, put in order, walked through by keys; and whole without the script."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.runs.sample import sample_run
from tunewright.analysis.html_page import write_report
from tunewright.core.files import read_json, write_json

BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")

ERRORS = [
    {"row": 9, "text": "The CARD was lost", "target": "a", "predicted": "b", "probability": 0.9},
    {"row": 4, "text": "card and <b>pin</b>", "target": "a", "predicted": "c", "probability": 0.95},
    {"row": 7, "text": "money is late", "target": "c", "predicted": "b", "probability": 0.5},
]

HELPERS = """
const seen = [], tell = (...what) => seen.push(what), form = document.querySelector("#errors form").elements;
const rows = () => [...document.querySelectorAll("#errors tbody tr")].map((row) => Number(row.cells[0].textContent));
const set = (name, value) => {
  form[name].value = value;
  form[name].dispatchEvent(new Event("input", { bubbles: true }));
};
"""


def page(folder: Path, errors: list[dict[str, Any]]) -> str:
    run = sample_run(folder)
    details = read_json(run / "details.json")
    write_json(run / "details.json", details | {"errors": errors})
    return write_report(run).read_text(encoding="utf-8")


def driven(tmp_path: Path, errors: list[dict[str, Any]], steps: str) -> list[Any]:
    """What ``tell(...)`` was called with by steps that ran after the page's own script."""
    if BROWSER is None:
        pytest.skip("needs Chromium on PATH")
    script = f"<script>{HELPERS}{steps};document.title = JSON.stringify(seen);</script></body>"
    found = re.sub(r"<meta http-equiv[^>]*>", "", page(tmp_path / "run", errors)).replace("</body>", script)
    place = tmp_path / "page.html"
    place.write_text(found, encoding="utf-8")
    options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}")
    command = [BROWSER, *options, "--dump-dom", place.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title is not None
    said: list[Any] = json.loads(unescape(title[1]))
    return said


def test_rows_are_filtered_searched_put_in_order_and_walked_through(tmp_path: Path) -> None:
    steps = """
    tell(rows(), document.querySelector('#errors output').textContent);
    tell([...form.right.options].map((one) => one.textContent));
    set('right', '=a'); tell(rows(), document.querySelector('#errors output').textContent);
    set('given', '=c'); tell(rows()); set('given', '');  set('words', 'LOST card'); tell(rows());
    set('words', '<b>'); tell(rows()); set('words', ''); set('right', '');
    set('order', 'surest'); tell(rows()); set('order', 'unsure'); tell(rows()); set('order', 'row'); tell(rows());
    document.querySelector('#errors tbody tr').focus();
    document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowDown', bubbles: true}));
    tell(Number(document.activeElement.cells[0].textContent))"""
    assert driven(tmp_path, ERRORS, steps) == [
        [[9, 4, 7], "3 errors"],
        [["any", "a (2)", "c (1)"]],
        [[9, 4], "2 of 3 errors"],
        [[4]],
        [[9]],
        [[4]],
        [[4, 9, 7]],
        [[7, 9, 4]],
        [[4, 7, 9]],
        [7],
    ]


def test_errors_without_probabilities_have_no_order_by_them(tmp_path: Path) -> None:
    errors = [one | {"probability": None} for one in ERRORS]
    assert driven(tmp_path, errors, "tell([...form.order.options].map((one) => one.value))") == [[["wrong", "row"]]]


def test_without_the_script_the_table_is_whole_and_the_tools_are_hidden(tmp_path: Path) -> None:
    plain = re.sub(r"<script>.*?</script>", "", page(tmp_path / "run", ERRORS), flags=re.DOTALL)
    assert "<form hidden>" in plain
    assert all(f'<td class="num" data-name="row">{one["row"]}</td>' in plain for one in ERRORS)


def test_a_run_without_errors_has_neither_table_nor_script(tmp_path: Path) -> None:
    assert not re.search(r"Worst errors|<script", page(tmp_path / "run", []))
