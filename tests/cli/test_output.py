"""Tables, JSON, durations."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tunewright.cli._options import parse_duration
from tunewright.cli._output import aligned, cell, print_json, print_table
from tunewright.cli._results import _show_scores, gained_nothing
from tunewright.core.errors import UserError
from tunewright.core.text import count, duration
from tunewright.core.types import Score


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("600", 600), ("90s", 90), ("10m", 600), ("1h", 3600), ("1.5h", 5400), ("1h30m", 5400), ("2min", 120), (None, None)],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-5", "10x", "m", "1h!", "ten minutes", "0s", "nan", "inf"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(UserError, match="not a duration"):
        parse_duration(text)


def test_a_plain_table_has_aligned_columns_and_no_trailing_space(capsys):
    print_table(("name", "n"), [("a", 1), ("long name", 1000)], title="things")
    assert capsys.readouterr().out == "things\nname           n\na              1\nlong name  1,000\n"


def test_numbers_are_to_the_right():
    assert aligned([["x", "1"], ["y", "100"]], [False, True]) == ["x    1", "y  100"]


def test_every_model_that_was_scored_is_shown_and_the_tuned_one_last(capsys):
    scores = [
        {"of": of, "name": "chrf", "value": 1.0, "low": None, "n": 3} for of in ("fine-tuned", "before", "lead", "new", "copy")
    ]
    _show_scores(scores)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]] == [
        "new",
        "copy",
        "lead",
        "before",
        "fine-tuned",
    ]


@pytest.mark.parametrize(
    ("metric", "against", "difference", "nothing"),
    [
        ("accuracy", "frozen", -0.01, True),
        ("accuracy", "frozen", 0.01, False),
        ("accuracy", "trees", -0.1, False),
        ("perplexity", "before", 2.0, True),
        ("perplexity", "before", -2.0, False),
        ("accuracy", "frozen", None, False),
    ],
)
def test_training_for_nothing_is_told(metric, against, difference, nothing):
    compared = {"a": "fine-tuned", "b": against, "metric": metric, "difference": difference}
    assert gained_nothing([compared]) is nothing


def test_cells():
    assert [cell(value) for value in (None, True, 12345, 0.123456, "a\nb\x1b[0m")] == [
        "–",
        "yes",
        "12,345",
        "0.1235",
        "a\\nb\\x1b[0m",
    ]


def test_json_is_one_ascii_document_whatever_the_values(capsys):
    print_json({"path": Path("a"), "array": np.arange(2), "float": np.float32(0.5), "score": Score("é", 1.0, None, None, 2)})
    out = capsys.readouterr().out
    assert out.isascii()
    read = json.loads(out)
    assert read["path"] == "a"
    assert read["array"] == [0, 1]
    assert read["float"] == 0.5
    assert read["score"]["name"] == "é"


def test_json_has_no_nan():
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json({"value": float("nan")})


def test_words():
    assert [duration(value) for value in (4.4, 200, 7500)] == ["4 s", "3 min 20 s", "2 h 05 min"]
    assert [count(value) for value in (7, 22_700_000, 1500)] == ["7", "22.7 M", "1.5 k"]
