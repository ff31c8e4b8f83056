"""Written answers are right by their final number, by their words, or by a JSON schema."""

from __future__ import annotations

import pytest

from tunewright.core.errors import UserError
from tunewright.evaluation.answers import final_number, same_number, same_words, share, validator


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2 + 2 = 4\n#### 4", 4),
        ("so it is #### -1,234.5 dollars", -1234.5),
        ("first 3, then 7.", 7),
        ("5 came before #### none", None),
        ("no number", None),
        ("", None),
    ],
)
def test_the_final_number(text: str, number: float | None) -> None:
    assert final_number(text) == number


def test_numbers_and_words_are_compared() -> None:
    assert same_number("I think 72", "48+24 = 72\n#### 72")
    assert not same_number("I think 73", "#### 72")
    assert not same_number("nothing", "nothing")
    assert same_words(" yes\n", "yes")
    assert not same_words("Yes", "yes")


def test_json_is_valid_as_a_whole_or_not_at_all() -> None:
    pytest.importorskip("jsonschema")
    valid = validator({"type": "object", "required": ["name"], "properties": {"age": {"type": "integer"}}})
    right = [
        valid(text)
        for text in ('{"name": "a", "age": 3}', '{"age": 3}', '{"name": 1, "age": "3"}', 'Sure: {"name": 1}', "[" * 9999)
    ]
    assert right == [True, False, False, False, False]
    with pytest.raises(UserError, match="schema cannot be used"):
        validator({"type": "nothing"})


def test_a_share_has_its_exact_interval() -> None:
    found = share("right_number", [True] * 3 + [False] * 7)
    assert (found.value, found.n) == (0.3, 10)
    assert (found.low, found.high) == pytest.approx((0.0667, 0.6525), abs=1e-4)  # Clopper and Pearson 1934
    assert share("right_number", [], 0.9).value is None
